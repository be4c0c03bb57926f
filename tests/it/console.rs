//! The console on a real terminal: what it shows, what it writes, and how it leaves.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use binnacle_proto::v1::{Light, Report, ServerHealth, VersionLights};
use tempfile::TempDir;

use binnacle_tests::command::{Following, binnacle};
use binnacle_tests::fleet::{self, Hub};
use binnacle_tests::patience::eventually;
use binnacle_tests::stranger::{Stranger, hello};
use binnacle_tests::terminal::{Start, Terminal};

mod cards;
mod editor;
mod leaving;
mod line;
mod link;
mod memory;
mod registry;
mod rollback;
mod tmux;
mod walk;

/// Hosts on the screen in the tests that count bytes: more than it has lines.
const HOSTS: usize = 60;
/// What the first frame of 120 columns and 40 lines may cost.
const FIRST_PAINT_MAX: usize = 12 << 10;
/// What moving the cursor by a line may cost.
const MOVE_MAX: usize = 300;
/// What the list of keys shows, and nothing else does.
const HELP: &str = "type to search; enter runs one";
/// From the console's question to a file that it writes.
const FILE_LIMIT: Duration = Duration::from_secs(20);

/// A hub, its folder, and hosts that are made up.
struct Place {
    // Dropped before the folder that it writes to.
    hub: Hub,
    hosts: Vec<Stranger>,
    folder: TempDir,
}

impl Place {
    fn start(hosts: usize) -> Self {
        let folder = fleet::folder();
        let hub = Hub::start(folder.path());
        let mut place = Self {
            hub,
            hosts: Vec::new(),
            folder,
        };
        for number in 1..=hosts {
            let host = place.host(&format!("host-{number:02}"));
            place.hosts.push(host);
        }
        place
    }

    fn host(&self, name: &str) -> Stranger {
        Stranger::dial(&self.hub.address(), hello(name)).unwrap().0
    }

    fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The console with these arguments, not started yet.
    fn console(&self, args: &[&str]) -> Start<'_> {
        let address = self.hub.address();
        let mut all = vec!["--hub", &address];
        all.extend_from_slice(args);
        Start::binnacle(self.home(), &all)
    }

    /// The console on the hosts, once it shows the first.
    #[track_caller]
    fn open(&self) -> Terminal {
        let terminal = self.console(&["--open", "hosts"]).start();
        terminal.await_text("LIVE");
        if !self.hosts.is_empty() {
            terminal.await_text("host-01");
        }
        terminal
    }

    /// Waits for something that happens every second whatever the console does.
    fn beats(&self) -> impl FnMut() {
        let address = self.hub.address();
        let beats = Following::start(&["watch", "--jsonl", "--hub", &address]);
        move || {
            for _ in 0..2 {
                beats.next("a heartbeat", FILE_LIMIT, |line| {
                    line["type"] == "heartbeat"
                });
            }
        }
    }

    /// Files under the home whose name begins and ends like this.
    fn files(&self, prefix: &str, suffix: &str) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.home().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map_while(Result::ok) {
                let (path, name) = (entry.path(), entry.file_name());
                let name = name.to_str().unwrap();
                if path.is_dir() {
                    folders.push(path);
                } else if name.starts_with(prefix) && name.ends_with(suffix) {
                    found.push(path);
                }
            }
        }
        found
    }

    #[track_caller]
    fn await_file(&self, prefix: &str, suffix: &str) -> PathBuf {
        eventually("a file is written", FILE_LIMIT, || {
            self.files(prefix, suffix)
                .pop()
                .ok_or_else(|| "none".to_owned())
        })
    }
}

/// Runs a command of the palette.
fn command(terminal: &Terminal, words: &str) {
    terminal.keys(":");
    terminal.keys(words);
    terminal.keys("\r");
}

#[test]
fn frames_cost_few_bytes_and_what_does_not_change_costs_none() {
    let place = Place::start(HOSTS);
    let mut beats = place.beats();
    let terminal = place.open();
    let first = terminal.await_quiet(&mut beats);
    assert!(
        first <= FIRST_PAINT_MAX,
        "the first paint took {first} bytes"
    );
    terminal.keys("j");
    let moved = terminal.await_quiet(&mut beats);
    assert!(moved > first, "the cursor did not move");
    // The preview follows in a frame of its own, once the cursor rests.
    let raw = terminal.raw();
    let frame = String::from_utf8_lossy(&raw[first..moved]).into_owned();
    let frame = frame.split_inclusive("\x1b[?2026l").next().unwrap();
    assert!(
        frame.len() <= MOVE_MAX,
        "a line down took {} bytes: {frame:?}",
        frame.len()
    );
    terminal.keys("k");
    terminal.await_quiet(&mut beats);
    // What was quiet for two seconds is quiet again: not one byte.
    let before = terminal.bytes();
    let after = terminal.await_quiet(&mut beats);
    assert!(
        after - before <= 40,
        "a clock's minute at most: {} bytes",
        after - before
    );
    println!(
        "first paint {first} bytes, a line down {} bytes, with its preview {}",
        frame.len(),
        moved - first
    );
}

#[test]
fn frames_are_shown_at_once_where_the_terminal_can() {
    let place = Place::start(1);
    let raw = place.open().raw();
    let count = |piece: &[u8]| raw.windows(piece.len()).filter(|at| *at == piece).count();
    assert!(count(b"\x1b[?2026h") > 0);
    assert_eq!(count(b"\x1b[?2026h"), count(b"\x1b[?2026l"));
}

#[test]
fn what_is_selected_stays_reversed_without_colours() {
    let place = Place::start(3);
    let terminal = place
        .console(&["--open", "hosts"])
        .with("NO_COLOR", "1")
        .start();
    terminal.await_text("host-01");
    let (reversed, coloured) = terminal.screen(|screen| {
        let (rows, columns) = screen.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let cells: Vec<_> = cells
            .filter_map(|(row, column)| screen.cell(row, column))
            .collect();
        let coloured = cells.iter().filter(|cell| {
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        });
        (
            cells.iter().filter(|cell| cell.inverse()).count(),
            coloured.count(),
        )
    });
    assert!(reversed > 0, "nothing is reversed");
    assert_eq!(coloured, 0);
}

#[test]
fn names_from_outside_cannot_touch_the_terminal() {
    let place = Place::start(0);
    let evil = "\x1b]0;stolen\x07\x1b[2J\u{202e}x";
    let mut host = place.host("host-01");
    let version = |version: &str| VersionLights {
        model: format!("fraud{evil}"),
        version: format!("{version}{evil}"),
        loaded: Light::Off.into(),
        answers: Light::Off.into(),
        correct: Light::Off.into(),
        reason: format!("disk{evil}"),
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64;
    host.report(Report {
        boot_id: vec![7; 16].into(),
        first_sequence: 1,
        last_sequence: 1,
        start_us: now,
        sent_at_us: now,
        span_ms: 1_000,
        server: Some(ServerHealth {
            upstream: format!("http://here{evil}"),
            process: Light::On.into(),
            reason: String::new(),
            versions: vec![version("7"), version("8")],
        }),
        ..Report::default()
    });
    let terminal = place.open();
    terminal.await_text("CRIT");
    terminal.await_text("disk");
    let raw = terminal.raw();
    for piece in [&b"\x1b]0;"[..], b"\x07", "\u{202e}".as_bytes()] {
        assert!(!raw.windows(piece.len()).any(|at| at == piece), "{piece:?}");
    }
    // One clearing of the screen, and that is ours.
    let clears = raw.windows(4).filter(|at| at == b"\x1b[2J").count();
    assert!(clears <= 2, "{clears} clearings");
}

#[test]
fn a_terminal_that_changes_its_size_is_filled_again() {
    let place = Place::start(HOSTS);
    let terminal = place.open();
    for columns in 81..100 {
        terminal.resize(columns, 30);
    }
    terminal.resize(80, 24);
    terminal.await_text("host-15");
    eventually("the last line is the key bar", FILE_LIMIT, || {
        let last = terminal.screen(|screen| screen.rows(0, 80).last());
        let last = last.unwrap_or_default();
        if last.contains("<enter>") {
            Ok(())
        } else {
            Err(last)
        }
    });
    terminal.resize(30, 8);
    terminal.await_text("too small");
}

#[test]
fn the_configuration_is_edited_and_read_anew_and_a_wrong_one_is_refused() {
    let place = Place::start(1);
    let editor = place.home().join("editor");
    let config = "[console.keys]\\nkeys = [\"f5\"]\\n";
    let script = format!("#!/bin/sh\nset -e\ntest -t 0\nprintf '{config}' > \"$1\"\n");
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    let start = place.console(&["--open", "hosts"]);
    let terminal = start.with("VISUAL", editor.to_str().unwrap()).start();
    terminal.await_text("host-01");
    command(&terminal, "configure");
    terminal.await_text("configuration read");
    terminal.keys("\x1b[15~");
    terminal.await_text(HELP);
    terminal.keys("\x1b");
    let path = place.await_file("config", ".toml");
    std::fs::write(&path, "[console]\n\nlow-bandwith = true\n").unwrap();
    terminal.await_text("line 3");
    terminal.await_text("low-bandwith");
    terminal.keys("\x1b[15~");
    terminal.await_text(HELP);
}

#[test]
fn a_session_is_recorded_for_its_owner_and_replayed() {
    let place = Place::start(3);
    let terminal = place.open();
    terminal.keys("j");
    command(&terminal, "record");
    terminal.await_text("binnacle replay");
    let path = place.await_file("session-", ".jsonl");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    let to = lines.to_string();
    let replay = [
        "replay",
        path.to_str().unwrap(),
        "--to",
        &to,
        "--size",
        "100x20",
    ];
    let shown = binnacle(&replay);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("host-03"), "{}", shown.stdout);
    let replayed = Start::binnacle(place.home(), &replay[..2]).start();
    replayed.await_text("REPLAY  0 of");
    replayed.keys("G");
    replayed.await_text("host-03");
    replayed.keys("g");
    replayed.await_text("REPLAY  0 of");
}

#[test]
fn a_snapshot_is_one_whole_frame_or_says_that_no_hub_answers() {
    let place = Place::start(3);
    let shown = place.hub.show(&["snapshot", "hosts", "--size", "100x20"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("host-03"), "{}", shown.stdout);
    assert!(!shown.stdout.contains('\x1b'));
    assert_eq!(shown.stdout.lines().count(), 20);
    let shown = place.hub.show(&["snapshot", "hosts", "--colour"]);
    assert!(shown.stdout.contains("\x1b["), "{}", shown.stdout);
    let nowhere = place.home().join("none.sock");
    let nowhere = format!("unix:{}", nowhere.display());
    let refused = binnacle(&["snapshot", "hosts", "--hub", &nowhere]);
    assert_eq!(refused.code, 9, "{}", refused.stderr);
}

#[test]
fn without_a_terminal_there_is_help_and_no_console() {
    let ended = binnacle::<&str>(&[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("Usage: binnacle"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}
