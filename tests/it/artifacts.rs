//! A registry's files, as an operator is promised them: whole or not there, whatever is killed,
//! full, cut off or hostile.

use std::path::Path;

use serde_json::{Value, json};

use binnacle_tests::command::{Ended, binnacle_in};
use binnacle_tests::fleet::{Hub, folder};
use binnacle_tests::s3::S3;

use self::folders::model_folder;

mod cut;
mod elsewhere;
mod folders;

/// A file of bytes that nothing can pack, the same for the same seed.
fn noise(folder: &Path, name: &str, megabytes: usize, seed: u64) -> (String, Vec<u8>) {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(megabytes << 20);
    while bytes.len() < megabytes << 20 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    (path.to_str().unwrap().to_owned(), bytes)
}

fn ask(hub: &Hub, words: &str) -> Ended {
    let words: Vec<&str> = words.split_whitespace().collect();
    hub.ask(&words)
}

#[track_caller]
fn items(hub: &Hub, words: &str) -> Vec<Value> {
    ask(hub, words).ok()["items"].as_array().unwrap().clone()
}

#[track_caller]
fn refused(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, code, "{}\n{}", ended.stdout, ended.stderr);
    let error = ended.error();
    assert!(error["message"].as_str().unwrap().contains(said), "{error}");
}

/// How many blobs and begun uploads there are.
#[track_caller]
fn kept(hub: &Hub) -> (u64, u64) {
    let usage = &items(hub, "artifact usage")[0];
    (
        usage["blobs"].as_u64().unwrap(),
        usage["staged"].as_u64().unwrap(),
    )
}

#[test]
fn files_in_an_object_store_keep_every_promise() {
    let (folder, store) = (folder(), S3::start());
    let hub = Hub::start_with_artifacts(folder.path(), "s3://models/prod", store.environment());
    ask(&hub, "model create fraud").ok();
    // More than one part, so that it goes up in parts.
    let (large, bytes) = noise(folder.path(), "large.gguf", 20, 1);
    let (small, _) = noise(folder.path(), "small.gguf", 1, 2);
    for file in [&large, &small] {
        ask(
            &hub,
            &format!("version register --model fraud --file {file}"),
        )
        .ok();
    }
    let keys = store.keys();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(
        keys.iter().all(|key| key.starts_with("prod/sha256/")),
        "{keys:?}"
    );
    assert_eq!(store.begun(), Vec::<String>::new());
    assert_eq!(kept(&hub), (2, 0));
    let copy = folder.path().join("copy.gguf");
    ask(
        &hub,
        &format!("artifact download fraud@1 {}", copy.display()),
    )
    .ok();
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    assert_eq!(ask(&hub, "artifact verify").code, 0);
    let listed = items(&hub, "artifact list");
    assert_eq!(
        (&listed[0]["bytes"], &listed[0]["versions"]),
        (&json!(20 << 20), &json!(["fraud@1"])),
        "the largest first"
    );

    let key = keys.iter().find(|key| {
        let digest = listed[0]["sha256"].as_str().unwrap();
        key.ends_with(&digest[2..])
    });
    let mut flipped = bytes;
    flipped[19 << 20] ^= 1;
    store.put(key.unwrap(), &flipped);
    let verified = ask(&hub, "artifact verify");
    assert_eq!(verified.code, 1, "{}", verified.stdout);
    let found = verified.json();
    let damaged = found["items"].as_array().unwrap().iter();
    let damaged: Vec<_> = damaged
        .filter(|item| item["finding"] == "damaged")
        .collect();
    assert_eq!(damaged.len(), 1, "{found}");
    assert_eq!(damaged[0]["versions"], json!(["fraud@1"]));
    std::fs::remove_file(&copy).unwrap();
    let again = ask(
        &hub,
        &format!("artifact download fraud@1 {}", copy.display()),
    );
    refused(&again, 1, "damaged");
    assert!(!copy.exists());
}

#[test]
fn an_object_store_that_fails_half_way_leaves_nothing_behind() {
    let (folder, store) = (folder(), S3::start());
    let hub = Hub::start_with_artifacts(folder.path(), "s3://models", store.environment());
    ask(&hub, "model create fraud").ok();
    let (file, bytes) = noise(folder.path(), "m.gguf", 24, 3);
    let register = format!("version register --model fraud --file {file} --timeout 60s");
    store.cut_after(10 << 20);
    let cut = ask(&hub, &register);
    refused(&cut, 9, "cannot write to s3://models");
    assert_eq!(items(&hub, "version list --model fraud").len(), 0);
    assert_eq!(store.keys(), Vec::<String>::new(), "half of it is no blob");
    // Not even a list can be had: that is said, and nothing is guessed.
    assert_eq!(ask(&hub, "artifact list").code, 9);

    store.mend();
    ask(&hub, &register).ok();
    assert_eq!(store.keys().len(), 1);
    assert_eq!(
        store.begun(),
        Vec::<String>::new(),
        "the parts of the first try are gone"
    );
    let copy = folder.path().join("copy.gguf");
    ask(
        &hub,
        &format!("artifact download fraud@1 {}", copy.display()),
    )
    .ok();
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
}

#[test]
fn a_dry_run_sends_nothing_and_a_file_that_is_not_what_it_is_called_is_refused() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    ask(&hub, "model create fraud").ok();
    let (file, _) = noise(folder.path(), "m.gguf", 1, 10);
    let told = ask(
        &hub,
        &format!("version register --model fraud --dry-run --file {file}"),
    )
    .ok();
    assert_eq!(told["items"][0]["object"], "fraud@1");
    let model = model_folder(folder.path());
    let register = format!(
        "version register --model fraud --dry-run --file {}",
        model.display()
    );
    ask(&hub, &register).ok();
    assert_eq!(kept(&hub), (0, 0), "nothing was sent");

    let head = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let mut weights = (head.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(head);
    weights.extend_from_slice(&[0; 8]);
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write("w.safetensors", &weights);
    let cut = write("cut.safetensors", &weights[..weights.len() - 1]);
    let pickle = write("p.onnx", b"\x80\x04\x95rest");
    let register = |file: &str| {
        ask(
            &hub,
            &format!("version register --model fraud --file {file}"),
        )
    };
    refused(&register(&cut), 2, "cut off or is damaged");
    refused(
        &register(&pickle),
        2,
        "is a pickle, which runs code when it is loaded",
    );
    assert_eq!(kept(&hub), (0, 0), "nothing was sent");
    register(&good).ok();
    let header = &items(&hub, &format!("artifact inspect {good}"))[0];
    assert_eq!(
        header["weights"],
        json!([{"name": "w", "dtype": "F32", "shape": [2]}])
    );
    assert_eq!(header["runs_code"], false);
}

#[test]
fn a_data_set_in_an_object_store_is_the_same_as_the_file() {
    let (folder, store) = (folder(), S3::start());
    let hub = Hub::start(folder.path());
    let mut text = String::from("a,b\n");
    for row in 0..20_000 {
        text.push_str(&format!("{row},{}\n", row % 7));
    }
    let file = folder.path().join("t.csv");
    std::fs::write(&file, &text).unwrap();
    store.put("data/t.csv", text.as_bytes());
    store.put("data/ragged.csv", b"a,b\n1,2\n3\n");
    let address = hub.address();
    let register = |words: &[&str]| {
        let mut all = vec!["dataset", "register"];
        all.extend_from_slice(words);
        all.extend(["--json", "--hub", &address]);
        binnacle_in(&store.environment(), &all)
    };
    register(&["here", "--file", file.to_str().unwrap()]).ok();
    register(&["there", "--location", "s3://models/data/t.csv"]).ok();
    let (here, there) = (
        &items(&hub, "dataset show here@1")[0],
        &items(&hub, "dataset show there@1")[0],
    );
    assert_eq!(there["location"], "s3://models/data/t.csv");
    for same in ["digest", "rows", "columns", "profile", "format", "bytes"] {
        assert_eq!(here[same], there[same], "{same}");
    }
    refused(
        &register(&["bad", "--file", "s3://models/data/ragged.csv"]),
        1,
        "line 3",
    );
    refused(
        &register(&["bad", "--file", "s3://models/data/none.csv"]),
        1,
        "none.csv",
    );
    store.cut_after(0);
    let cut = register(&["bad", "--file", "s3://models/data/t.csv"]);
    assert_eq!(cut.code, 1, "{}", cut.stderr);
    assert_eq!(
        items(&hub, "dataset list").len(),
        2,
        "nothing else was registered"
    );
}
