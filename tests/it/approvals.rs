//! What another person has to say yes to, and what may not come at all for a while: over a real
//! hub, with the commands that people type.

use binnacle_tests::patience::eventually_true;

use crate::endpoints::{SOON, Stand};

/// What a command is refused with: its exit code, and its words.
#[track_caller]
fn refused(stand: &Stand, words: &str) -> (i32, String) {
    let ended = stand.ask(words);
    assert_ne!(ended.code, 0, "{words}\n{}", ended.stdout);
    (ended.code, ended.stderr)
}

#[test]
fn a_deploy_waits_for_another_persons_yes_and_a_freeze_keeps_it_away_but_no_rollback() {
    let stand = Stand::start(1);
    stand.served();
    stand.does("environment set test --approvals 1");
    let deploy = "deploy tumour@2 --to test/scan --reason weekly";
    let ended = stand.ask(&format!("{deploy} --wait=1s"));
    assert_eq!(ended.code, 8, "{}\n{}", ended.stdout, ended.stderr);
    let told = ended.outcome()["items"][0].clone();
    assert_eq!(told["waiting_for"], "approval", "{told}");
    let waiting = stand.does("approval list");
    assert_eq!(waiting["approvals"]["of"], 1, "{waiting}");
    assert_eq!(waiting["asked_why"], "weekly", "{waiting}");
    // Hosts know nothing of it.
    let host = stand.hub.host("host-1").unwrap().to_string();
    assert!(!host.contains("tumour@2"), "{host}");
    let (code, why) = refused(&stand, "approval approve test/scan 2 --reason mine");
    assert_eq!(code, 4, "{why}");
    assert!(why.contains("another person has to approve it"), "{why}");
    let (code, why) = refused(&stand, "approval approve test/scan 3 --reason other");
    assert_eq!(code, 6, "a yes is to one plan: {why}");
    // Nobody has to say yes to a way back, and what waits is out of the way after it.
    stand.does("approval reject test/scan 2 --reason tomorrow");
    let shown = stand.does("rollout show test/scan 2");
    assert_eq!(
        (&shown["phase"], &shown["why"]),
        (&"aborted".into(), &"tomorrow".into())
    );

    stand.does("environment set test --approvals 0");
    let told = stand.does(
        "deploy tumour@2 --to test/scan --strategy all-at-once --confirm-within 0s --wait=2m",
    );
    assert_eq!(told["outcome"], "promoted", "{told}");
    let (code, why) = refused(&stand, "freeze set test --for 8h");
    assert_eq!(code, 2, "{why}");
    stand.does("freeze set test --for 8h --reason audit");
    let frozen = stand.does("freeze list");
    assert_eq!(frozen["freeze"]["why"], "audit", "{frozen}");
    let (code, why) = refused(&stand, "deploy tumour@1 --to test/scan");
    assert_eq!(code, 7, "{why}");
    assert!(
        why.contains("test is frozen until") && why.contains("audit"),
        "{why}"
    );
    eventually_true("the way back is warm", SOON, || {
        stand.endpoint()["rollback"]["warm"] == 1
    });
    let told = stand.does("rollback test/scan --reason bad --no-input --confirm test/scan");
    assert_eq!(told["outcome"], "promoted", "{told}");
    stand.does("freeze lift test --reason done");
    let ended = stand.ask("freeze list");
    assert_eq!(ended.outcome()["items"].as_array().map(Vec::len), Some(0));
}
