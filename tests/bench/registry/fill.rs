//! A journal with a large registry in it, written as the engine would, without its waits.

use binnacle_core::caller::Caller;
use binnacle_core::name::Name;
use binnacle_core::observed::Observed;
use binnacle_core::registry::{Card, Command, Digest};
use binnacle_core::state::{self, Condition, Input, Request, State};
use binnacle_hub::store::SharedStore;
use serde_json::json;

use super::VERSIONS;

/// Data sets, each with as many versions as models have.
const DATA_SETS: u32 = 20;
/// Entries in one transaction.
const BATCH: usize = 2_000;

/// Writes it all.
pub(super) async fn fill(store: &SharedStore, models: u32) -> color_eyre::Result<()> {
    let mut state = State::default();
    let mut batch = Vec::new();
    let start = Input::Start { store: "01".into() };
    let commands = commands(models).map(|command| Input::Asked {
        caller: Caller::Hub,
        why: String::new(),
        request: Request::Registry(Box::new(command)),
        condition: Condition::default(),
    });
    for input in std::iter::once(start).chain(commands) {
        let now_us = 1_700_000_000_000_000 + state.sequence as i64;
        for draft in state::decide(&state, &Observed::default(), &input, now_us)? {
            let entry = state.entry(draft, now_us);
            let stored = entry.seal(&state.hash);
            state.apply(&entry, stored.hash);
            batch.push(stored);
        }
        if batch.len() >= BATCH {
            store.append(std::mem::take(&mut batch)).await?;
        }
    }
    Ok(store.append(batch).await?)
}

/// A model's name.
pub(super) fn model(number: u32) -> Name {
    name(format!("model-{number:05}"))
}

fn name(text: String) -> Name {
    Name::parse(&text).unwrap()
}

fn commands(models: u32) -> impl Iterator<Item = Command> {
    let data = (0..DATA_SETS).flat_map(|set| {
        (0..VERSIONS).map(move |rows| {
            let detail = json!({"location": "s3://data/t", "format": "parquet", "rows": rows});
            let detail = serde_json::from_value(detail).unwrap();
            Command::RegisterDataSet(name(format!("data-{set}")), detail)
        })
    });
    let models = (0..models).flat_map(|number| {
        let create = Command::CreateModel(model(number), Card::default());
        let versions = (0..VERSIONS).map(move |version| register(number, version));
        std::iter::once(create).chain(versions)
    });
    data.chain(models)
}

fn register(number: u32, version: u32) -> Command {
    let model = model(number);
    let at = number.wrapping_mul(31).wrapping_add(version * 7);
    let mut sha256 = [0; 32];
    for (place, byte) in sha256.iter_mut().enumerate() {
        *byte = (at.wrapping_mul(2_654_435_761).rotate_left(place as u32 * 5)) as u8;
    }
    let (one, two) = (at % DATA_SETS, (at + 1) % DATA_SETS);
    let of = 1 + at % VERSIONS;
    let mut detail = json!({
        "artifact": {
            "location": "stored",
            "format": "onnx",
            "sha256": Digest(sha256),
            "bytes": 1_000_000,
        },
        "metrics": {"auc": 0.93, "loss": 0.17},
        "parameters": {"depth": "7", "rounds": "300"},
        "source": {"commit": "4b825dc", "author": "alice"},
        "data_sets": [format!("data-{one}@{of}:train"), format!("data-{two}@{of}:test")],
    });
    if version % 2 == 1 {
        let parent = json!(format!("{model}@{version}"));
        let object = detail.as_object_mut();
        object
            .expect("it was just made")
            .insert("parent".into(), parent);
    }
    Command::RegisterVersion(model, serde_json::from_value(detail).unwrap())
}
