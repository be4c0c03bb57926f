//! Files that lie elsewhere and that versions only refer to: read again, and believed only for
//! their bytes.

use serde_json::Value;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::Hub;
use binnacle_tests::s3::S3;
use binnacle_tests::web::Web;

use super::{ask, folder, noise, refused};

/// The version that each file belongs to, and what was found of it.
fn found(ended: &Ended) -> Vec<(String, String)> {
    let found = ended.json();
    let items = found["items"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items
        .map(|item| (text(&item["versions"][0]), text(&item["finding"])))
        .collect()
}

fn is(version: &str, finding: &str) -> (String, String) {
    (version.to_owned(), finding.to_owned())
}

/// Registers what lies at a place under the digest of a file.
#[track_caller]
fn register(hub: &Hub, url: &str, sha256: &str) {
    let register = format!("version register --model fraud --url {url} --sha256 {sha256}");
    ask(hub, &register).ok();
}

/// The digest of a file, as the hub tells it.
#[track_caller]
fn sha256(hub: &Hub, file: &str) -> String {
    let told = ask(hub, &format!("artifact upload {file}")).ok();
    told["items"][0]["sha256"].as_str().unwrap().to_owned()
}

#[test]
fn what_lies_elsewhere_is_read_again_and_out_of_reach_is_not_damaged() {
    let (folder, store) = (folder(), S3::start());
    let url = format!("file://{}", folder.path().join("blobs").display());
    let hub = Hub::start_with_artifacts(folder.path(), &url, store.environment());
    ask(&hub, "model create fraud").ok();
    let (file, bytes) = noise(folder.path(), "m.gguf", 1, 6);
    store.put("m.gguf", &bytes);
    let sha256 = sha256(&hub, &file);
    for url in [format!("file://{file}"), "s3://models/m.gguf".into()] {
        register(&hub, &url, &sha256);
    }
    let verified = ask(&hub, "artifact verify");
    let whole = |version: &str| is(version, "whole");
    assert_eq!(found(&verified), [whole("fraud@1"), whole("fraud@2")]);
    assert_eq!(verified.code, 0);

    std::fs::remove_file(&file).unwrap();
    let verified = ask(&hub, "artifact verify");
    let gone = is("fraud@1", "unreachable");
    assert_eq!(found(&verified), [gone.clone(), whole("fraud@2")]);
    assert_eq!(verified.code, 9);
    store.put("m.gguf", &bytes[1..]);
    let verified = ask(&hub, "artifact verify");
    assert_eq!(found(&verified), [gone, is("fraud@2", "damaged")]);
    assert_eq!(verified.code, 1, "damage outweighs distance");
    assert_eq!(ask(&hub, "artifact verify --stored").code, 0);
}

#[test]
fn over_https_an_authority_is_asked_for_and_nothing_is_read_without_tls_or_by_halves() {
    let (home, web) = (folder(), Web::start());
    let blobs = format!("file://{}", home.path().join("blobs").display());
    let hub = Hub::start_with_artifacts(home.path(), &blobs, web.environment());
    ask(&hub, "model create fraud").ok();
    let (file, bytes) = noise(home.path(), "m.gguf", 1, 31);
    web.put("m.gguf", &bytes);
    let sha256 = sha256(&hub, &file);
    for at in ["m.gguf", "plain/m.gguf", "short/m.gguf", "none.gguf"] {
        register(&hub, &web.url(at), &sha256);
    }
    let [plain, short, none] = ["fraud@2", "fraud@3", "fraud@4"];
    let away = [plain, short, none].map(|version| is(version, "unreachable"));
    let with = |first| [&[is("fraud@1", first)][..], &away].concat();
    let verified = ask(&hub, "artifact verify");
    assert_eq!(found(&verified), with("whole"), "{}", verified.stdout);
    assert_eq!(verified.code, 9);
    let one = ask(&hub, &format!("artifact verify {none}"));
    let fault = one.json()["items"][0]["fault"].clone();
    assert_eq!(fault, "its server answers 404 Not Found");

    let mut flipped = bytes;
    flipped[1 << 19] ^= 1;
    web.put("m.gguf", &flipped);
    let verified = ask(&hub, "artifact verify");
    assert_eq!(found(&verified), with("damaged"), "{}", verified.stdout);
    assert_eq!(verified.code, 1);
    let download = home.path().join("copy.gguf");
    let download = format!("artifact download fraud@1 {}", download.display());
    refused(&ask(&hub, &download), 3, "they lie at https://127.0.0.1");
    let http = web.url("m.gguf").replace("https", "http");
    let http = format!("version register --model fraud --url {http} --sha256 {sha256}");
    refused(&ask(&hub, &http), 2, "say https://");
}

#[test]
fn a_server_whose_authority_nobody_knows_is_not_read() {
    let (home, web, other) = (folder(), Web::start(), Web::start());
    let blobs = format!("file://{}", home.path().join("blobs").display());
    let hub = Hub::start_with_artifacts(home.path(), &blobs, other.environment());
    ask(&hub, "model create fraud").ok();
    let (file, bytes) = noise(home.path(), "m.gguf", 1, 32);
    web.put("m.gguf", &bytes);
    register(&hub, &web.url("m.gguf"), &sha256(&hub, &file));
    let verified = ask(&hub, "artifact verify");
    assert_eq!(found(&verified), [is("fraud@1", "unreachable")]);
    let fault = verified.json()["items"][0]["fault"].clone();
    assert!(fault.as_str().unwrap().contains("certificate"), "{fault}");
    assert_eq!(verified.code, 9);
}
