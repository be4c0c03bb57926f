//! What the registry's index takes in memory, allocation by allocation.
// A test that cannot go on fails; and an allocator cannot be written without `unsafe`.
#![allow(clippy::unwrap_used, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use binnacle_core::caller::Caller;
use binnacle_core::name::Name;
use binnacle_core::observed::Observed;
use binnacle_core::registry::{Card, Command, Digest, VERSION_BYTES};
use binnacle_core::snapshot;
use binnacle_core::state::{self, Condition, Input, Request, State};
use serde_json::json;

/// The system's allocator, with a count of the bytes that are held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MODELS: usize = 100;
const VERSIONS: usize = 100;
const DATA_SETS: usize = 20;
const DATA_VERSIONS: usize = 20;

fn ask(state: &mut State, command: Command) {
    let now_us = state.sequence as i64 * 1_000;
    let input = Input::Asked {
        caller: Caller::Hub,
        why: String::new(),
        request: Request::Registry(Box::new(command)),
        condition: Condition::default(),
    };
    // As the engine has it: what readers look at is held while the next is made.
    let published = state.clone();
    for draft in state::decide(state, &Observed::default(), &input, now_us).unwrap() {
        let entry = state.entry(draft, now_us);
        state.apply(&entry, [7; 32]);
    }
    drop(published);
}

fn name(text: String) -> Name {
    Name::parse(&text).unwrap()
}

/// Models with a hundred versions each, of which every one was trained on two data sets and has
/// its own files, and every second was made from the one before.
fn registry(versions: usize) -> State {
    let mut state = State::default();
    for set in 0..DATA_SETS {
        for rows in 0..DATA_VERSIONS {
            let detail = json!({"location": "s3://data/t", "format": "parquet", "rows": rows});
            let detail = serde_json::from_value(detail).unwrap();
            let command = Command::RegisterDataSet(name(format!("data-{set}")), detail);
            ask(&mut state, command);
        }
    }
    for model in 0..MODELS {
        let model = name(format!("model-{model}"));
        ask(
            &mut state,
            Command::CreateModel(model.clone(), Card::default()),
        );
        for version in 0..versions {
            let at = version * 7 + MODELS;
            let (one, two) = (at % DATA_SETS, (at + 1) % DATA_SETS);
            let number = 1 + at % DATA_VERSIONS;
            let mut detail = json!({
                "artifact": {
                    "location": "stored",
                    "format": "onnx",
                    "sha256": Digest([version as u8; 32]),
                    "bytes": 1_000,
                },
                "data_sets": [format!("data-{one}@{number}:train"),
                              format!("data-{two}@{number}:test")],
            });
            if version % 2 == 1 {
                let parent = json!(format!("{model}@{version}"));
                detail
                    .as_object_mut()
                    .unwrap()
                    .insert("parent".into(), parent);
            }
            let detail = serde_json::from_value(detail).unwrap();
            ask(&mut state, Command::RegisterVersion(model.clone(), detail));
        }
    }
    state
}

#[test]
fn a_version_takes_what_is_said_of_it_and_no_more() {
    let weigh = |make: &dyn Fn() -> State| {
        let before = HELD.load(Ordering::Relaxed);
        let state = make();
        (HELD.load(Ordering::Relaxed) - before, state)
    };
    let (empty, _) = weigh(&|| registry(0));
    let (full, state) = weigh(&|| registry(VERSIONS));
    let each = (full - empty) / (MODELS * VERSIONS);
    assert!(each <= VERSION_BYTES, "{each} bytes a version");
    let bytes = snapshot::write(&state);
    drop(state);
    let (read, state) = weigh(&|| snapshot::read(&bytes).unwrap());
    let each = (read - empty) / (MODELS * VERSIONS);
    assert!(
        each <= VERSION_BYTES,
        "{each} bytes a version out of a snapshot"
    );
    assert_eq!(state.registry.models.len(), MODELS);
    let packed = bytes.len() / (MODELS * VERSIONS);
    assert!(packed <= 110, "{packed} bytes a version in a snapshot");
}
