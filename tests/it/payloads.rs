//! Images that are asked with and embeddings that are answered, through the real programs: each is
//! told in numbers, counted once, and named when it moves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use open_inference::{Data, DataForm, InferRequest, Tensor, rest};
use serde_json::Value;

use binnacle_sketch::payload::{NAMES, NUMBERS};
use binnacle_tests::patience::eventually;
use binnacle_tests::watched::Watched;

/// Until a host has fetched, loaded and switched; until counts have come to the hub.
const SOON: Duration = Duration::from_secs(60);
const ENDPOINT: &str = "test/reader";
/// Pixels of an image's side, and numbers of an embedding.
const WIDTH: usize = 8;
/// Images of the reference; the others come in.
const REFERENCE: usize = 1_197;
/// What a pixel may be.
const LEVELS: &str = "0123456789abcdefg";

type Image = Vec<f32>;

fn source(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("data/digits").join(name)
}

/// Handwritten digits, in an order that was drawn.
fn images() -> Vec<Image> {
    let text = std::fs::read_to_string(source("digits.txt")).unwrap();
    let pixel = |level: char| LEVELS.find(level).unwrap() as f32;
    let image = |line: &str| line.chars().map(pixel).collect();
    text.lines().map(image).collect()
}

/// What the model answers to an image.
fn embedding(image: &Image) -> Vec<f32> {
    let weight = |at: usize, to: usize| ((at * 7 + to * 3) % 5) as f32 / 4.0 - 0.5;
    let sum = |to: usize| {
        let pixels = image.iter().enumerate();
        pixels.map(|(at, x)| x * weight(at, to)).sum()
    };
    (0..WIDTH).map(sum).collect()
}

/// A version is asked with images, and both they and its answers are watched.
struct Stand(Watched);

impl Stand {
    fn start(reference: &[Image]) -> Self {
        Self(Watched::start(
            "digits@1",
            ENDPOINT,
            100,
            |watched, folder| {
                register(watched, folder, reference);
            },
        ))
    }

    /// Asks with some images at once, over HTTP.
    fn asks(&self, images: &[Image], form: DataForm) {
        let shape = vec![images.len() as i64, WIDTH as i64, WIDTH as i64];
        let tensor = Tensor::new("image", shape, Data::Fp32(images.concat())).unwrap();
        let request = InferRequest {
            id: String::new(),
            inputs: vec![tensor],
            outputs: Vec::new(),
            form: DataForm::Typed,
        };
        let encoded = rest::encode_request(&request, form).unwrap();
        let answer = self.0.infer(&encoded, "");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Every number of images and answers has been counted for so many rows, each once.
    fn settles(&self, requests: u64, rows: u64) {
        eventually("everything that was sent is counted", SOON, || {
            let item = self.0.drift("list").first().cloned().unwrap_or_default();
            let counted = [&item["requests"], &item["unfit"], &item["dropped"]];
            match counted.map(Value::as_u64) == [Some(requests), Some(0), Some(0)] {
                true => Ok(()),
                false => Err(item.to_string()),
            }
        });
        let items = eventually("the detector has taken it in", SOON, || {
            let items = self.0.drift("show");
            let streams = items
                .iter()
                .flat_map(|item| item["streams"].as_array().unwrap());
            let mut values = streams.filter(|stream| stream["signal"] == "values");
            match values.all(|stream| stream["observations"] == rows) && !items.is_empty() {
                true => Ok(items),
                false => Err(items.first().map(Value::to_string).unwrap_or_default()),
            }
        });
        let told = |parent: &str| {
            let own = items.iter();
            let own = own.filter(|item| item["feature"].as_str().unwrap().starts_with(parent));
            let mut count = 0;
            for item in own {
                assert_eq!(
                    (&item["counted"], &item["missing"]),
                    (&rows.into(), &0.into())
                );
                count += 1;
            }
            assert_eq!(count, NUMBERS, "{parent}");
        };
        told("image ");
        told("output embedding ");
    }
}

fn register(watched: &Watched, folder: &Path, reference: &[Image]) {
    let table = |name: &str, line: &dyn Fn(&Image) -> String| {
        let path = folder.join(format!("{name}.jsonl"));
        let lines: String = reference.iter().map(line).collect();
        std::fs::write(&path, lines).unwrap();
        watched.does(&format!(
            "dataset register {name} --file {}",
            path.display()
        ));
    };
    table("images", &|image| {
        let lines: Vec<&[f32]> = image.chunks(WIDTH).collect();
        format!("{{\"image\":{lines:?}}}\n")
    });
    table("answers", &|image| {
        format!("{{\"embedding\":{:?}}}\n", embedding(image))
    });
    watched.does("featureset register vector --from images@1");
    watched.does("model create digits");
    watched.does(&format!(
        "version register --model digits --file {} --dataset images@1:train \
         --dataset answers@1:predictions --featureset vector@1",
        source("model.onnx").display()
    ));
}

#[test]
fn images_that_are_inverted_upstream_are_named_and_those_that_are_not_are_quiet() {
    let mut images = images();
    let live = images.split_off(REFERENCE);
    let stand = Stand::start(&images);
    for (at, batch) in live.chunks(4).enumerate() {
        let form = if at % 2 == 0 {
            DataForm::Typed
        } else {
            DataForm::Raw
        };
        stand.asks(batch, form);
    }
    stand.settles(live.len() as u64 / 4, live.len() as u64);
    let item = stand.0.drift("list")[0].clone();
    assert_ne!(item["state"], "moved", "{item}");
    assert!(stand.0.drift("episodes").is_empty());

    let inverted = live
        .iter()
        .map(|image| image.iter().map(|x| 16.0 - x).collect());
    let inverted: Vec<Image> = inverted.collect();
    for batch in inverted.chunks(4) {
        stand.asks(batch, DataForm::Raw);
    }
    let moved = eventually("it is told what moved", SOON, || {
        let item = stand.0.drift("list")[0].clone();
        let moved = stand.0.drift("explain");
        match item["state"] == "moved" && !moved.is_empty() {
            true => Ok(moved),
            false => Err(item.to_string()),
        }
    });
    let names = moved.iter().map(|item| item["feature"].as_str().unwrap());
    let names: Vec<&str> = names.collect();
    for name in ["image mean", "image zero_fraction"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let is_told = |name: &&&str| NAMES.iter().any(|figure| name.ends_with(figure));
    assert_eq!(
        names.iter().filter(is_told).count(),
        names.len(),
        "{names:?}"
    );
    let said = stand.0.drift("episodes")[0]["what"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(said.starts_with("digits@1: image "), "{said}");
}
