//! Folders and archives as a version's files: the same wherever they are read, and nothing that
//! leads out of them.

use std::path::{Path, PathBuf};

use serde_json::json;

use binnacle_tests::command::binnacle_in;
use binnacle_tests::fleet::Hub;

use super::{ask, folder, items, kept, noise, refused};

/// A folder of a tokenizer, a configuration twice, and weights.
pub(super) fn model_folder(at: &Path) -> PathBuf {
    let model = at.join("model");
    noise(&model, "weights/part 1.gguf", 1, 4);
    noise(&model, "weights/part 2.gguf", 1, 5);
    std::fs::write(model.join("config.json"), "{}").unwrap();
    std::fs::write(model.join("weights/config.json"), "{}").unwrap();
    model
}

/// Every file below a folder, with its bytes.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap().map_while(Result::ok) {
            match entry.path() {
                path if path.is_dir() => open.push(path),
                path => {
                    let bytes = std::fs::read(&path).unwrap();
                    files.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
                }
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_folder_is_known_by_its_manifest_and_its_files_are_stored_once() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    ask(&hub, "model create words").ok();
    let model = model_folder(folder.path());
    let register = format!("version register --model words --file {}", model.display());
    ask(&hub, &register).ok();
    let files = &items(&hub, "version show words@1")[0]["artifact"];
    assert_eq!(
        (&files["location"], &files["format"], &files["bytes"]),
        (&json!("folder"), &json!("gguf"), &json!((2 << 20) + 4))
    );
    assert_eq!(
        kept(&hub),
        (4, 0),
        "a manifest, two weights, one configuration"
    );
    let again = ask(&hub, &format!("artifact upload {}", model.display())).ok();
    assert_eq!(
        again["items"][0]["sha256"], files["sha256"],
        "the same files, the same digest"
    );
    let listed = items(&hub, "artifact list");
    let manifest = listed
        .iter()
        .find(|item| item["kind"] == "manifest")
        .unwrap();
    assert_eq!(manifest["sha256"], files["sha256"]);
    assert!(
        listed
            .iter()
            .all(|item| item["versions"] == json!(["words@1"])),
        "{listed:?}"
    );

    let copy = folder.path().join("copy");
    let download = format!("artifact download words@1 {}", copy.display());
    ask(&hub, &download).ok();
    assert_eq!(tree(&copy), tree(&model));
    refused(&ask(&hub, &download), 2, "is there already");
    assert_eq!(items(&hub, "artifact verify words@1").len(), 4);

    let weights = listed.iter().find(|item| item["bytes"] == 1 << 20).unwrap();
    let digest = weights["sha256"].as_str().unwrap();
    let blob = hub
        .data()
        .join("artifacts/sha256")
        .join(&digest[..2])
        .join(&digest[2..]);
    std::fs::remove_file(blob).unwrap();
    let verified = ask(&hub, "artifact verify words@1");
    assert_eq!(verified.code, 1);
    refused(&ask(&hub, &format!("{download}-2")), 3, "is stored");
    assert!(
        !folder.path().join("copy-2").exists(),
        "half a folder has no name"
    );
    // A version of a folder that is not whole is not registered.
    let sha256 = files["sha256"].as_str().unwrap();
    assert_eq!(
        ask(
            &hub,
            &format!("artifact download {sha256} {}.txt", copy.display())
        )
        .code,
        0
    );
    ask(&hub, &register).ok();
    assert_eq!(
        ask(&hub, "artifact verify").code,
        0,
        "registering it again made it whole"
    );
}

#[test]
fn a_folder_with_a_link_or_without_files_is_refused() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    let model = model_folder(folder.path());
    let upload = format!("artifact upload {}", model.display());
    let link = model.join("passwords");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    refused(&ask(&hub, &upload), 2, "\"passwords\" in it is a link");
    std::fs::remove_file(&link).unwrap();
    std::fs::write(model.join("a\nb"), "").unwrap();
    refused(&ask(&hub, &upload), 2, "control character");
    std::fs::remove_file(model.join("a\nb")).unwrap();
    let deep = model.join("d/".repeat(20));
    std::fs::create_dir_all(&deep).unwrap();
    refused(&ask(&hub, &upload), 2, "16 folders deep");
    let empty = folder.path().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    refused(
        &ask(&hub, &format!("artifact upload {}", empty.display())),
        2,
        "no files",
    );
    assert_eq!(kept(&hub), (0, 0), "nothing was sent");
}

/// Makes archives, good and hostile, with Python's own packers.
const ARCHIVES: &str = r#"
import io, os, sys, tarfile, zipfile
model, out = sys.argv[1:]
for name, mode in [("good.tar", "w"), ("good.tar.gz", "w:gz")]:
    with tarfile.open(f"{out}/{name}", mode) as tar:
        tar.add(model, arcname=".")
with zipfile.ZipFile(f"{out}/good.zip", "w", zipfile.ZIP_DEFLATED) as zip:
    for root, _, files in os.walk(model):
        for file in files:
            path = os.path.join(root, file)
            zip.write(path, os.path.relpath(path, model))
def tar(name, *members):
    with tarfile.open(f"{out}/{name}", "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
def member(name, size=1, **more):
    found = tarfile.TarInfo(name)
    found.size = size
    for key, value in more.items():
        setattr(found, key, value)
    return found
tar("climbs.tar.gz", member("a"), member("../../evil"))
tar("root.tar.gz", member("/etc/evil"))
tar("link.tar.gz", member("l", 0, type=tarfile.SYMTYPE, linkname="/etc/passwd"))
tar("hard.tar.gz", member("a"), member("l", 0, type=tarfile.LNKTYPE, linkname="a"))
tar("pipe.tar.gz", member("p", 0, type=tarfile.FIFOTYPE))
tar("twice.tar.gz", member("a"), member("a"))
tar("both.tar.gz", member("a"), member("a/b"))
tar("name.tar.gz", member("n" * (2 << 20)))
tar("bomb.tar.gz", member("zeros", 300 << 20))
with zipfile.ZipFile(f"{out}/climbs.zip", "w") as zip:
    zip.writestr("a/../../evil", "x")
with zipfile.ZipFile(f"{out}/link.zip", "w") as zip:
    link = zipfile.ZipInfo("l")
    link.external_attr = 0o120777 << 16
    zip.writestr(link, "/etc/passwd")
with zipfile.ZipFile(f"{out}/bomb.zip", "w", zipfile.ZIP_DEFLATED) as zip:
    zip.writestr("zeros", b"\0" * (300 << 20))
whole = open(f"{out}/good.tar.gz", "rb").read()
open(f"{out}/cut.tar.gz", "wb").write(whole[: len(whole) // 2])
open(f"{out}/text.tar.gz", "wb").write(b"no archive")
"#;

/// What is refused, and what is said of it.
const HOSTILE: [(&str, &str); 14] = [
    (
        "climbs.tar.gz",
        "\"../../evil\" is no path inside a folder: it climbs out",
    ),
    (
        "root.tar.gz",
        "\"/etc/evil\" is no path inside a folder: it begins at the root",
    ),
    ("link.tar.gz", "\"l\" in it is a link"),
    ("hard.tar.gz", "\"l\" in it is a link"),
    ("pipe.tar.gz", "\"p\" in it is a device, a pipe"),
    ("twice.tar.gz", "\"a\" comes twice"),
    ("both.tar.gz", "\"a/b\" comes twice"),
    ("name.tar.gz", "headers of more than a megabyte"),
    (
        "bomb.tar.gz",
        "at \"zeros\" it has unpacked to more than 200 times its size",
    ),
    (
        "climbs.zip",
        "\"a/../../evil\" is no path inside a folder: it climbs out",
    ),
    ("link.zip", "\"l\" in it is a link"),
    (
        "bomb.zip",
        "at \"zeros\" it has unpacked to more than 200 times its size",
    ),
    ("cut.tar.gz", "it is damaged at"),
    ("text.tar.gz", "it is no archive"),
];

#[test]
fn an_archive_is_unpacked_within_limits_or_refused_with_what_and_where() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    let model = model_folder(folder.path());
    let out = folder.path().join("archives");
    let temporary = folder.path().join("tmp");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::create_dir_all(&temporary).unwrap();
    let made = std::process::Command::new("python3")
        .args(["-c", ARCHIVES])
        .args([&model, &out])
        .status();
    assert!(made.unwrap().success());
    let environment = [("TMPDIR".to_owned(), temporary.to_str().unwrap().to_owned())];
    let address = hub.address();
    let upload = |name: &str| {
        let file = out.join(name);
        let file = file.to_str().unwrap();
        let words = [
            "artifact", "upload", "--unpack", file, "--json", "--hub", &address,
        ];
        let ended = binnacle_in(&environment, &words);
        let left = std::fs::read_dir(&temporary).unwrap().count();
        assert_eq!(left, 0, "{name}: nothing is left behind");
        ended
    };
    for (name, said) in HOSTILE {
        refused(&upload(name), 2, said);
    }
    assert_eq!(kept(&hub), (0, 0), "nothing was sent");
    let whole = ask(&hub, &format!("artifact upload {}", model.display())).ok();
    for name in ["good.tar", "good.tar.gz", "good.zip"] {
        let unpacked = upload(name).ok();
        assert_eq!(
            unpacked["items"], whole["items"],
            "{name} is the folder that it holds"
        );
    }
    ask(&hub, "model create words").ok();
    let archive = out.join("good.zip");
    let register = format!(
        "version register --model words --unpack --file {}",
        archive.display()
    );
    ask(&hub, &register).ok();
    assert_eq!(
        items(&hub, "version show words@1")[0]["artifact"]["sha256"],
        whole["items"][0]["sha256"]
    );
}

#[test]
fn what_would_be_refused_is_refused_before_a_byte_is_sent() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    let model = model_folder(folder.path());
    let (plain, mixed) = (folder.path().join("plain"), folder.path().join("mixed"));
    for (at, names) in [
        (&plain, ["a.bin", "b.bin"]),
        (&mixed, ["a.onnx", "b.safetensors"]),
    ] {
        for name in names {
            noise(at, name, 1, 21);
        }
        let tar = std::process::Command::new("tar")
            .args(["-C", at.to_str().unwrap(), "-cf"])
            .arg(at.with_extension("tar"))
            .arg(".")
            .status();
        assert!(tar.unwrap().success());
    }
    let before = |words: &str, code: i32, said: &str| {
        let ended = ask(&hub, &format!("version register --model {words}"));
        refused(&ended, code, said);
        assert_eq!(kept(&hub), (0, 0), "{words}: nothing was sent");
        ended.error()["hint"].as_str().unwrap().to_owned()
    };
    let file = |path: &Path| format!("--file {}", path.display());
    // Words here are parted by blanks.
    let weights = model.join("weights/part 1.gguf");
    std::fs::rename(weights, model.join("weights/1.gguf")).unwrap();
    let weights = file(&model.join("weights/1.gguf"));
    before(
        &format!("words {weights}"),
        3,
        "model words is not registered",
    );
    ask(&hub, "model create words").ok();
    let none = "no name in it tells what its files are";
    let several = "the names in it tell of onnx and safetensors";
    for (at, why) in [(&plain, none), (&mixed, several)] {
        let archive = file(&at.with_extension("tar"));
        for given in [file(at), format!("--unpack {archive}")] {
            let hint = before(&format!("words {given}"), 2, why);
            assert!(hint.contains("--format onnx"), "{given}: {hint}");
        }
    }
    let hint = before(&format!("words {}", file(&plain.join("a.bin"))), 2, "a.bin");
    assert!(hint.contains("--format onnx"), "{hint}");
    for (more, code, said) in [
        ("--metric auc=good", 2, "is no number"),
        ("--dataset cells@1:train", 3, "cells@1"),
        ("--parent words@7", 3, "words@7"),
    ] {
        before(&format!("words {weights} {more}"), code, said);
    }
    let unpacked = file(&plain.with_extension("tar"));
    let register = format!("version register --model words --unpack {unpacked} --format torch");
    assert_eq!(ask(&hub, &register).code, 0, "said, it is taken");
}

/// Makes every blob two days old.
fn age(hub: &Hub) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    for (path, _) in tree(&hub.data().join("artifacts")) {
        let path = hub.data().join("artifacts").join(path);
        let file = std::fs::File::options().append(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    }
}

#[test]
fn what_a_folder_needs_is_kept_and_nothing_is_taken_away_on_a_guess() {
    let folder = folder();
    let hub = Hub::start(folder.path());
    ask(&hub, "model create words").ok();
    let model = model_folder(folder.path());
    let register = format!("version register --model words --file {}", model.display());
    ask(&hub, &register).ok();
    let (other, _) = noise(folder.path(), "other.gguf", 1, 11);
    ask(&hub, &format!("artifact upload {other}")).ok();
    let unreferenced = |words: &str| items(&hub, words)[0]["unreferenced_blobs"].clone();
    assert_eq!(
        unreferenced("artifact collect --remove"),
        0,
        "it is not a day old"
    );
    age(&hub);
    assert_eq!(unreferenced("artifact collect"), 1);
    assert_eq!(kept(&hub), (5, 0), "that was only said");

    let listed = items(&hub, "artifact list");
    let manifest = listed
        .iter()
        .find(|item| item["kind"] == "manifest")
        .unwrap();
    let digest = manifest["sha256"].as_str().unwrap();
    let blob = hub
        .data()
        .join("artifacts/sha256")
        .join(&digest[..2])
        .join(&digest[2..]);
    let whole = std::fs::read(&blob).unwrap();
    let mut flipped = whole.clone();
    flipped[30] ^= 1;
    std::fs::write(&blob, flipped).unwrap();
    refused(
        &ask(&hub, "artifact collect --remove"),
        1,
        "is damaged where it is stored",
    );
    std::fs::write(&blob, whole).unwrap();
    age(&hub);
    assert_eq!(unreferenced("artifact collect --remove"), 1);
    assert_eq!(kept(&hub), (4, 0));
    assert_eq!(
        ask(&hub, "artifact verify").code,
        0,
        "all that the folder needs is there"
    );
}
