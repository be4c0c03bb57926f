//! docs/registry.md, typed and pressed on the real programs, in its order.

use std::path::Path;
use std::process::Command;

use binnacle_tests::program::binaries;
use binnacle_tests::walk::{Step, has, steps, take};

use super::Place;
use super::cards::script;

/// Runs a command as the document's reader does, in the folder of the source: what it said on
/// either stream.
#[track_caller]
fn run(place: &Place, line: usize, command: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let ended = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .current_dir(root)
        .env("PATH", format!("{}:{path}", binaries().display()))
        .env("HOME", place.home())
        .env("BINNACLE_HUB", place.hub.address())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "line {line}: {command}\n{said}");
    said
}

#[test]
fn a_models_way_into_the_registry_goes_on_the_real_programs_as_it_is_told() {
    let document = include_str!("../../../docs/registry.md");
    let steps = steps(document);
    let place = Place::start(0);
    let editor = place.home().join("editor");
    script(&editor, "sed -i 's/\"bob\"/\"carol\"/' \"$1\"\n");
    let (mut said, mut terminal) = (String::new(), None);
    let (mut commands, mut looks) = (0, 0);
    for (line, step) in &steps {
        match step {
            Step::Run(command) => {
                said = run(&place, *line, command);
                commands += 1;
            }
            Step::Says(pieces) => {
                let is_said = said.lines().any(|one| has(one, pieces));
                assert!(is_said, "line {line}: {pieces:?} is not in\n{said}");
                looks += 1;
            }
            Step::Press(_) | Step::Type(_) | Step::See(_) | Step::Gone(_) => {
                let terminal = terminal.get_or_insert_with(|| {
                    let start = place.console(&[]);
                    let start = start.with("EDITOR", editor.to_str().unwrap());
                    let terminal = start.start();
                    terminal.await_text("LIVE");
                    terminal
                });
                take(terminal, *line, step);
            }
        }
    }
    assert!(commands >= 15 && looks >= 30, "{commands}, {looks}");
}
