//! What the console is for: `R`, the plan, a reason, and a fleet that is well again, on the real
//! programs with traffic all the while.

use std::time::Duration;

use binnacle_tests::patience::eventually_true;
use binnacle_tests::terminal::{Start, Terminal};
use binnacle_tests::traffic::Traffic;

use crate::endpoints::Stand;

/// Until hosts have loaded and switched.
const SOON: Duration = Duration::from_secs(60);
/// What a plan says once its answers count.
const SEEN: &str = "<esc> leaves everything as it is";

fn console(stand: &Stand, view: &str) -> Terminal {
    let address = stand.hub.address();
    let args = ["--hub", &address, "--open", view];
    let terminal = Start::binnacle(stand.folder.path(), &args).start();
    terminal.await_text("LIVE");
    terminal
}

#[test]
fn a_rollback_from_the_keyboard_heals_and_no_request_fails() {
    let stand = Stand::start(2);
    stand.served();
    let deploy = "deploy tumour@2 --to test/scan --strategy all-at-once --confirm-within 0s";
    let told = stand.does(&format!("{deploy} --wait=2m"));
    assert_eq!(told["outcome"], "promoted", "{told}");
    let traffic = Traffic::start(&stand.lanes());
    eventually_true("both hosts keep the version before warm", SOON, || {
        stand.endpoint()["rollback"]["warm"] == 2
    });
    // From a host: it serves one endpoint, which needs no choice.
    let terminal = console(&stand, "rollouts");
    terminal.await_text("tumour@2 100%");
    terminal.await_text("2/2 warm · 0 s");
    terminal.keys("2");
    terminal.await_text("host-1");
    terminal.keys("R");
    terminal.await_text("ROLL BACK  test/scan  rev 2 → rev 1");
    terminal.await_text("tumour@2 is blocked on test/scan until someone lifts it");
    terminal.await_text(SEEN);
    terminal.keys("scores look wrong");
    terminal.await_text("<enter> does it");
    terminal.keys("\r");
    terminal.await_text("rolled back test/scan to rev 1 on 2/2 hosts in");
    let endpoint = stand.endpoint();
    assert_eq!(endpoint["route"], "tumour@1 100%", "{endpoint}");
    assert_eq!(endpoint["blocked"][0]["why"], "scores look wrong");
    terminal.keys("5\r");
    terminal.await_text("BLOCKED   tumour@2");
    let tally = traffic.stop();
    tally.assert_clean();
}

#[test]
fn a_deploy_is_begun_paused_and_given_up_from_the_keyboard() {
    let stand = Stand::start(1);
    stand.served();
    let terminal = console(&stand, "versions/tumour@2");
    terminal.await_text("serves at    no endpoint");
    terminal.keys("a");
    terminal.await_text("deploy…");
    terminal.keys("D");
    terminal.await_text("Deploy a version");
    // The one endpoint of its model need not be typed.
    terminal.await_text("endpoint     test/scan");
    terminal.keys("canary:20%/10m\r\r");
    terminal.keys("try it\r");
    terminal.await_text("DEPLOY  test/scan  rev 1 → rev 2");
    terminal.await_text(SEEN);
    terminal.await_text("reason: try it");
    terminal.keys("\r");
    terminal.await_text("▸ test/scan rev 2 → tumour@2 100%");
    terminal.await_text("step 1/2 baking");
    terminal.keys("5\r");
    terminal.await_text("● 20%");
    terminal.keys("a");
    terminal.await_text("pause…");
    terminal.keys("p");
    terminal.await_text("Pause test/scan rev 2");
    terminal.await_text(SEEN);
    terminal.keys("wait for lunch\r");
    terminal.await_text("step 1/2 paused");
    terminal.keys("ax");
    terminal.await_text("Abort test/scan rev 2");
    terminal.await_text(SEEN);
    terminal.keys("not today\r");
    eventually_true("the route before serves", SOON, || {
        let endpoint = stand.endpoint();
        endpoint["rollout"].is_null() && endpoint["route"] == "tumour@1 100%"
    });
    terminal.await_no_text("▸ test/scan");
    terminal.await_text("aborted");
}
