//! The hub's store at its worst moments: a database that goes and comes back, a disk without
//! room, a hub that is killed in the middle. What was acknowledged is there; what was not is
//! there whole or not at all; and whatever is refused is refused with the reason.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use binnacle_tests::command::{Ended, binnacle};
use binnacle_tests::fleet::{Hub, folder};
use binnacle_tests::patience::eventually;
use binnacle_tests::postgres::Postgres;

/// From the store's return to the hub's: it looks once a second.
const BACK_LIMIT: Duration = Duration::from_secs(30);
/// What a command that is not permitted to wait for the store says when nothing can be written.
const REFUSED: &str = "nothing was changed";

fn create(hub: &Hub, name: &str) -> Ended {
    hub.ask(&[
        "model", "create", name, "--owner", "alice", "--team", "risk",
    ])
}

fn models(hub: &Hub) -> Vec<String> {
    let listed = hub.ask(&["model", "list"]).ok();
    let items = listed["items"].as_array().unwrap().clone();
    let whole = |item: &Value| item["owner"] == "alice" && item["team"] == "risk";
    assert!(items.iter().all(whole), "{listed}");
    let name = |item: &Value| item["name"].as_str().unwrap().to_owned();
    items.iter().map(name).collect()
}

/// What `doctor` says of the store.
fn doctor(hub: &Hub) -> String {
    let told = hub.ask(&["doctor"]);
    format!("{}{}", told.stdout, told.stderr)
}

#[track_caller]
fn is_back(hub: &Hub, name: &str) {
    eventually("changes are taken again", BACK_LIMIT, || {
        let created = create(hub, name);
        match created.code {
            0 => Ok(()),
            _ => Err(created.stderr),
        }
    });
    let told = doctor(hub);
    for trouble in ["cannot append", "cannot write"] {
        assert!(!told.contains(trouble), "{told}");
    }
}

#[test]
fn a_database_that_is_stopped_and_started_costs_refusals_and_nothing_else() {
    let mut server = Postgres::start();
    let folder = folder();
    let url = server.database().replace("postgres@", "postgres:s3cret@");
    let mut hub = Hub::start_on(folder.path(), &url);
    create(&hub, "before").ok();
    for (round, end) in [Postgres::stop, Postgres::kill].into_iter().enumerate() {
        end(&mut server);
        let refused = create(&hub, "meanwhile");
        // Worth another try, as a hub that cannot be reached is.
        assert_eq!(refused.code, 9, "{}{}", refused.stdout, refused.stderr);
        let error = refused.error();
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(REFUSED), "{error}");
        assert!(message.contains("database"), "{error}");
        assert_eq!(models(&hub).len(), round + 1, "what is known is shown");
        assert!(doctor(&hub).contains("database"), "{}", doctor(&hub));
        server.start_again();
        is_back(&hub, &format!("after-{round}"));
    }
    let all = ["after-0", "after-1", "before"];
    assert_eq!(models(&hub), all);
    hub.kill();
    hub.start_again();
    assert_eq!(models(&hub), all);
    assert!(
        !hub.program().log().contains("s3cret"),
        "{}",
        hub.program().log()
    );
    let shown = doctor(&hub);
    assert!(!shown.contains("s3cret"), "{shown}");
    assert!(hub.terminate().success());
    let verified = binnacle(&["journal", "verify", "--store", &url, "--json"]).ok();
    assert_eq!(verified["items"][0]["ok"], true, "{verified}");
    assert_eq!(verified["items"][0]["entries"], 4, "{verified}");
}

#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let url = "postgres://hub:s3cret@127.0.0.1:1/binnacle";
    for asked in [
        vec!["journal", "verify", "--store", url],
        vec!["hub", "run", "--store", url, "--data", "/nonexistent"],
        vec![
            "journal",
            "verify",
            "--store",
            "postgres://hub:s3cret@h:port/b",
        ],
    ] {
        let ended = binnacle(&asked);
        assert_ne!(ended.code, 0);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.is_empty() && !said.contains("s3cret"), "{said}");
    }
}

/// Writes until there is no room for another byte.
fn fill(folder: &Path) {
    let mut filler = File::create(folder.join("filler")).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        while filler.write_all(&vec![b'x'; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_refuses_changes_shows_everything_and_is_gone_on_with_when_there_is_room() {
    let folder = folder();
    let hub = Hub::start_in_room(folder.path(), 2 << 20);
    create(&hub, "before").ok();
    fill(&hub.room());
    // What the write-ahead log has room for is still taken.
    let mut taken = vec!["before".to_owned()];
    let refused = eventually("a change is refused", BACK_LIMIT, || {
        let name = format!("model-{:04}", taken.len());
        let created = create(&hub, &name);
        match created.code {
            0 => {
                taken.push(name);
                Err(format!("{} were taken", taken.len()))
            }
            _ => Ok(created),
        }
    });
    let error = refused.error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("the disk is full"), "{error}");
    assert!(message.contains(REFUSED), "{error}");
    assert_eq!(models(&hub), taken, "what was acknowledged is shown");
    assert!(
        doctor(&hub).contains("the disk is full"),
        "{}",
        doctor(&hub)
    );
    std::fs::remove_file(hub.room().join("filler")).unwrap();
    is_back(&hub, "room");
    taken.push("room".to_owned());
    assert_eq!(models(&hub), taken);
    let verified = hub.ask(&["journal", "verify"]).ok();
    assert_eq!(verified["items"][0]["ok"], true, "{verified}");
}

/// Kills a hub in the middle of edits, again and again, and holds it to what it acknowledged.
fn killed_in_the_middle(mut hub: Hub) {
    let mut acknowledged = Vec::new();
    for round in 0..6_u32 {
        let is_killed = AtomicBool::new(false);
        let (first, begun) = mpsc::channel();
        let told = std::thread::scope(|scope| {
            let edits = scope.spawn(|| {
                let mut told = Vec::new();
                for edit in 0.. {
                    let name = format!("m-{round}-{edit:03}");
                    if create(&hub, &name).code == 0 {
                        told.push(name);
                        // It is waited for once.
                        let _waited = first.send(());
                    } else if is_killed.load(Ordering::SeqCst) {
                        return (told, name);
                    }
                }
                unreachable!("the hub is killed at some time")
            });
            begun.recv().unwrap();
            // Spread over what an edit takes, from its arrival to its answer.
            std::thread::sleep(Duration::from_millis(11 * u64::from(round)));
            is_killed.store(true, Ordering::SeqCst);
            let id = rustix::process::Pid::from_raw(hub.program().id() as i32).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
            edits.join().unwrap()
        });
        hub.kill();
        hub.start_again();
        acknowledged.extend(told.0);
        let found = models(&hub);
        let missing: Vec<_> = acknowledged
            .iter()
            .filter(|name| !found.contains(name))
            .collect();
        assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
        // At most the edit under way came through without its answer.
        let beyond: Vec<_> = found
            .iter()
            .filter(|name| !acknowledged.contains(name))
            .collect();
        assert!(beyond.iter().all(|name| **name == told.1), "{beyond:?}");
        let verified = hub.ask(&["journal", "verify"]).ok();
        assert_eq!(verified["items"][0]["ok"], true, "{verified}");
        acknowledged = found;
    }
    assert!(!acknowledged.is_empty());
}

#[test]
fn a_hub_that_is_killed_at_any_moment_of_an_edit_has_all_of_it_or_none() {
    let (on_file, on_server) = (folder(), folder());
    killed_in_the_middle(Hub::start(on_file.path()));
    let server = Postgres::start();
    killed_in_the_middle(Hub::start_on(on_server.path(), &server.database()));
}
