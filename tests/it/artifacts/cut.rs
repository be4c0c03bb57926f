//! Uploads and downloads that are cut off: by a kill, by Ctrl-C, by a disk that is full.

use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use binnacle_tests::fleet::Hub;
use binnacle_tests::patience::eventually;
use binnacle_tests::program;

use super::{ask, folder, items, kept, noise, refused};

/// What a transfer of some megabytes may take on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A command that goes on in the background.
fn begin(hub: &Hub, words: &[&str]) -> Child {
    let mut command = program::command("binnacle");
    command.args(words).args(["--hub", &hub.address()]);
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    quiet.stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until so many bytes of an upload are staged, or it is over.
fn await_staged(hub: &Hub, bytes: u64, child: &mut Child) {
    let folder = hub.data().join("artifacts/staged");
    eventually("bytes are staged", SOON, || {
        let staged = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let most = staged
            .filter_map(|entry| entry.metadata().ok())
            .map(|known| known.len());
        let most = most.max().unwrap_or(0);
        if most >= bytes || child.try_wait().unwrap().is_some() {
            return Ok(());
        }
        Err(format!("{most} of {bytes}"))
    });
}

#[test]
fn a_hub_killed_at_any_moment_of_an_upload_has_all_of_it_or_goes_on() {
    let folder = folder();
    let mut hub = Hub::start(folder.path());
    const MEGABYTES: usize = 24;
    for round in 0..6_u64 {
        let (file, _) = noise(folder.path(), "m.gguf", MEGABYTES, 100 + round);
        let before = kept(&hub).0;
        let mut child = begin(&hub, &["artifact", "upload", &file]);
        // From the first byte to the last, and the moments after it.
        await_staged(&hub, round * ((MEGABYTES as u64) << 20) / 5, &mut child);
        hub.kill();
        let code = child.wait().unwrap().code().unwrap();
        hub.start_again();
        let (blobs, staged) = kept(&hub);
        match blobs - before {
            0 => assert!(code != 0 && staged <= 1, "round {round}: {code}, {staged}"),
            whole => assert_eq!(whole, 1),
        }
        assert_eq!(ask(&hub, "artifact verify").code, 0);
        let again = ask(&hub, &format!("artifact upload {file}")).ok();
        let sha256 = again["items"][0]["sha256"].as_str().unwrap();
        let copy = folder.path().join("copy.gguf");
        ask(
            &hub,
            &format!("artifact download {sha256} {}", copy.display()),
        )
        .ok();
        assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(&file).unwrap());
        assert_eq!(kept(&hub), (before + 1, 0), "round {round}");
    }
}

#[test]
fn ctrl_c_ends_an_upload_with_130_and_what_came_is_gone_on_with() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    let id = |id: u32| Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    let (file, bytes) = noise(folder.path(), "m.gguf", 64, 7);
    let mut child = begin(&hub, &["artifact", "upload", &file]);
    await_staged(&hub, 1, &mut child);
    // The hub stands still, so that the upload cannot end before it is interrupted.
    let hub_id = id(hub.program().id());
    kill_process(hub_id, Signal::STOP).unwrap();
    let was_over = child.try_wait().unwrap().is_some();
    assert!(!was_over, "64 MB were through at the first look");
    kill_process(id(child.id()), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    kill_process(hub_id, Signal::CONT).unwrap();
    assert_eq!(status.code(), Some(130));
    eventually("the hub has noticed", SOON, || match kept(&hub) {
        (0, 1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let again = ask(&hub, &format!("artifact upload {file}")).ok();
    assert_eq!(again["items"][0]["bytes"], bytes.len());
    assert_eq!(kept(&hub), (1, 0));
}

#[test]
fn a_download_that_was_cut_off_goes_on_and_is_whole_in_the_end() {
    let folder = folder();
    let mut hub = Hub::start(folder.path());
    let (file, bytes) = noise(folder.path(), "m.gguf", 48, 8);
    let told = ask(&hub, &format!("artifact upload {file}")).ok();
    let sha256 = told["items"][0]["sha256"].as_str().unwrap().to_owned();
    let copy = folder.path().join("copy.gguf");
    let mut child = begin(
        &hub,
        &["artifact", "download", &sha256, copy.to_str().unwrap()],
    );
    let part = folder
        .path()
        .join(format!(".copy.gguf.{}.part", &sha256[..16]));
    eventually("some of it is there", SOON, || {
        match std::fs::metadata(&part).map(|known| known.len()) {
            Ok(1..) => Ok(()),
            _ if copy.exists() => Ok(()),
            found => Err(format!("{found:?}")),
        }
    });
    hub.kill();
    let cut = child.wait().unwrap();
    hub.start_again();
    assert_eq!(
        copy.exists(),
        cut.success(),
        "all of it has its name, half of it has not"
    );
    // What came before is read again: a byte that was changed meanwhile is found.
    if !cut.success() && part.exists() {
        let mut came = std::fs::read(&part).unwrap();
        if let Some(first) = came.first_mut() {
            *first ^= 1;
        }
        std::fs::write(&part, &came).unwrap();
        let download = ask(
            &hub,
            &format!("artifact download {sha256} {}", copy.display()),
        );
        refused(&download, 1, "damaged on the way");
        assert!(!part.exists() && !copy.exists());
    }
    ask(
        &hub,
        &format!("artifact download {sha256} {}", copy.display()),
    )
    .ok();
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
    assert!(!part.exists());
}

#[test]
fn a_full_disk_at_the_hub_is_said_and_got_over() {
    let folder = folder();
    let hub = Hub::start_on_small_disk(folder.path(), 24);
    let disk = hub.room();
    std::fs::write(disk.join("ballast"), vec![1; 16 << 20]).unwrap();
    ask(&hub, "model create fraud").ok();
    let (file, _) = noise(folder.path(), "m.gguf", 12, 9);
    let register = format!("version register --model fraud --file {file}");
    refused(&ask(&hub, &register), 1, "No space left on device");
    assert_eq!(items(&hub, "version list --model fraud").len(), 0);
    assert_eq!(kept(&hub).0, 0);
    std::fs::remove_file(disk.join("ballast")).unwrap();
    ask(&hub, &register).ok();
    assert_eq!(ask(&hub, "artifact verify").code, 0);
    assert_eq!(kept(&hub), (1, 0));
}
