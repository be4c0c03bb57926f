//! Something that must hold does not, through the real programs: it is noticed, laid to whose fault
//! it is, taken back where that was asked for, and told to those who are to be told.

use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::peers::{Faulty, Mailbox};
use binnacle_tests::traffic::{Lane, Protocol, Traffic};

/// Between two requests of a lane.
const PACE: Duration = Duration::from_millis(10);
/// Until a breach of ten seconds is an alert, or is over, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A hub, and hosts with something before their servers that can make the second version fail.
struct Stand {
    hub: Hub,
    agents: Vec<Agent>,
    faulty: Vec<Faulty>,
    _runtimes: Vec<Runtime>,
    _folder: TempDir,
}

impl Stand {
    fn start(hosts: usize, sinks: Vec<String>, endpoint: &str) -> Self {
        let folder = fleet::folder();
        let hub = Hub::start_telling(folder.path(), sinks);
        let (mut runtimes, mut faulty, mut agents) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=hosts {
            let repository = folder.path().join(format!("repository-{number}"));
            std::fs::create_dir_all(&repository).unwrap();
            let place = folder.path().join(format!("runtime-{number}"));
            let runtime = Runtime::start(&place, &repository);
            let between = Faulty::start(runtime.http(), "/tumour/versions/2/infer");
            agents.push(Agent::start_behind(
                folder.path(),
                &format!("host-{number}"),
                &hub.address(),
                &runtime,
                between.address(),
            ));
            runtimes.push(runtime);
            faulty.push(between);
        }
        let stand = Self {
            hub,
            agents,
            faulty,
            _runtimes: runtimes,
            _folder: folder,
        };
        stand.does("model create tumour");
        for version in models::VERSIONS {
            let file = models::file("tumour", version);
            let file = file.to_str().unwrap();
            stand.does(&format!("version register --model tumour --file {file}"));
        }
        stand.does(&format!(
            "endpoint create test/scan --opens-after 10s --closes-after 10s {endpoint}"
        ));
        eventually_true("every host is live", SOON, || {
            (1..=hosts).all(|number| {
                let host = stand.hub.host(&format!("host-{number}"));
                host.is_some_and(|host| host["state"] == "live")
            })
        });
        stand.deploys("tumour@1");
        stand
    }

    fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    #[track_caller]
    fn does(&self, words: &str) -> Value {
        let ended = self.ask(words);
        assert_eq!(ended.code, 0, "{words}\n{}\n{}", ended.stdout, ended.stderr);
        ended.outcome()["items"][0].clone()
    }

    /// All at once, and kept: nothing judges it.
    #[track_caller]
    fn deploys(&self, version: &str) {
        let how = "--strategy all-at-once --confirm-within 0s --wait=1m";
        let told = self.does(&format!("deploy {version} --to test/scan {how}"));
        assert_eq!(told["outcome"], "promoted", "{told}");
    }

    fn alerts(&self, words: &str) -> Vec<Value> {
        let listed = self.ask(&format!("alert list {words}")).ok();
        listed["items"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn opened(&self) -> Value {
        eventually("an alert is open", SOON, || {
            let open = self.alerts("");
            open.first().cloned().ok_or_else(|| "none".to_owned())
        })
    }

    fn lanes(&self) -> Vec<Lane> {
        let model = Model::called("tumour", "scan");
        let lane = |agent: &Agent| Lane {
            protocol: Protocol::Http,
            to: agent.listen(),
            model: model.clone(),
            version: String::new(),
            every: PACE,
        };
        self.agents.iter().map(lane).collect()
    }

    fn kinds(&self) -> Vec<(String, String)> {
        let listed = self.ask("journal list").ok();
        let items = listed["items"].as_array().unwrap().iter();
        let word = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_owned();
        items
            .map(|entry| (word(entry, "kind"), word(entry, "caller")))
            .collect()
    }
}

#[test]
fn a_version_that_fails_once_it_serves_is_blamed_taken_back_and_told_of() {
    let mailbox = Mailbox::start();
    let sinks = vec![
        format!("webhook={}", mailbox.url("hook")),
        format!("slack={}", mailbox.url("slack")),
        format!("pagerduty=R0UT1NG,{}", mailbox.url("pager")),
        format!("alertmanager={}", mailbox.url("am")),
    ];
    let settings = "--objective errors<=5% --on-breach roll_back --runbook https://wiki/scan";
    let stand = Stand::start(2, sinks, settings);
    let traffic = Traffic::start(&stand.lanes());
    let before = traffic.sent();
    eventually_true("the first version has served some", SOON, || {
        traffic.sent() > before + 1_500
    });
    assert!(stand.alerts("").is_empty(), "all is well");
    stand.deploys("tumour@2");
    stand.faulty.iter().for_each(|one| one.fail(true));
    let alert = stand.opened();
    assert_eq!(alert["blame"]["word"], "this version", "{alert}");
    assert_eq!(alert["blame"]["whom"]["version"], "tumour@2", "{alert}");
    assert_eq!(alert["reaction"]["roll_back"]["to"], 1, "{alert}");
    explained(&stand);
    let number = alert["alert"].as_u64().unwrap();
    let shown = stand.hub.show(&["why", "tumour"]);
    assert!(
        shown.stdout.contains(&format!("alert {number}")),
        "{shown:?}"
    );
    eventually_true("it is taken back by itself", SOON, || {
        let endpoint = stand.does("endpoint show test/scan");
        endpoint["live"] == 3 && endpoint["route"] == "tumour@1 100%"
    });
    eventually_true("the alert is over", SOON, || stand.alerts("").is_empty());
    let closed = stand.does(&format!("alert show {number}"));
    assert!(
        closed["closed"]["why"].as_str().unwrap().contains("again"),
        "{closed}"
    );
    let incident = stand.does("incident export test/scan");
    let account = incident["markdown"].as_str().unwrap();
    for text in [
        "revision 2: tumour@2",
        "rolled back to revision 1",
        "closed",
    ] {
        assert!(account.contains(text), "{text}: {account}");
    }
    assert!(incident["lasted_s"].as_f64() > incident["detected_after_s"].as_f64());
    let blocked = stand.ask("deploy tumour@2 --to test/scan");
    assert_eq!(blocked.code, 7, "{}", blocked.stderr);
    let kinds = stand.kinds();
    let rolled = ("rollout_accepted/v1".to_owned(), "hub".to_owned());
    assert!(kinds.contains(&rolled), "{kinds:?}");
    let tally = traffic.stop();
    // The agents' own probes were failed as well.
    let failed: u64 = stand.faulty.iter().map(Faulty::failed).sum();
    assert!((1..=failed).contains(&tally.failed), "{tally:?}");
    assert_eq!(tally.unanswered, 0, "{:?}", tally.failures);
    told(&mailbox, number);
}

/// The ten lines that tell of a version that fails.
#[track_caller]
fn explained(stand: &Stand) {
    let why = eventually(
        "it does not help to go back once more",
        SOON,
        || match stand.does("why test/scan") {
            why if why["helps"] == false => Ok(why),
            why => Err(why.to_string()),
        },
    );
    assert_eq!(why["runbook"], "https://wiki/scan", "{why}");
    let lines = why["lines"].as_array().unwrap();
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
    let is_wide = |line: &&str| line.chars().count() > 80;
    assert!(
        lines.len() <= 10 && !lines.iter().any(is_wide),
        "{lines:#?}"
    );
    let says = |text: &str| lines.iter().any(|line| line.contains(text));
    for text in [
        "not errors<=5%",
        "this version: tumour@2",
        "revision 2: tumour@2",
        "rolled back to revision 1 by itself",
    ] {
        assert!(says(text), "{text}: {lines:#?}");
    }
}

/// What each sink was told of an alert that was opened and is over.
#[track_caller]
fn told(mailbox: &Mailbox, number: u64) {
    let both = |path: &str| {
        eventually(path, SOON, || match mailbox.at(path) {
            letters if letters.len() >= 2 => Ok(letters),
            letters => Err(format!("{} letters", letters.len())),
        })
    };
    let hook = both("/hook");
    let events: Vec<&str> = hook
        .iter()
        .filter_map(|it| it.body["event"].as_str())
        .collect();
    assert_eq!(
        (events.first(), events.last()),
        (Some(&"opened"), Some(&"closed"))
    );
    assert_eq!(hook[0].body["alert"]["alert"], number);
    assert!(hook[0].body["why"]["lines"].as_array().unwrap().len() <= 10);
    let slack = both("/slack");
    let text = slack[0].body["text"].as_str().unwrap();
    assert!(
        text.contains("tumour@2") && text.contains("&lt;=5%"),
        "{text}"
    );
    let pager = both("/pager");
    let (first, last) = (&pager[0].body, &pager.last().unwrap().body);
    assert_eq!(first["event_action"], "trigger");
    assert_eq!(last["event_action"], "resolve");
    assert_eq!(first["dedup_key"], last["dedup_key"]);
    assert_eq!(first["routing_key"], "R0UT1NG");
    assert_eq!(first["payload"]["severity"], "critical");
    assert_eq!(first["links"][0]["href"], "https://wiki/scan");
    let manager = both("/am/api/v2/alerts");
    let (first, last) = (&manager[0].body[0], &manager.last().unwrap().body[0]);
    assert_eq!(first["labels"], last["labels"]);
    assert_eq!(first["labels"]["endpoint"], "test/scan");
    assert!(first["endsAt"].as_str() > last["endsAt"].as_str());
}

#[test]
fn letters_arrive_at_least_once_though_the_sink_and_the_hub_were_away() {
    let mailbox = Mailbox::start();
    mailbox.answers(503);
    let sinks = vec![format!("webhook={}", mailbox.url("hook"))];
    let mut stand = Stand::start(1, sinks, "");
    stand.agents[0].kill();
    let alert = stand.opened();
    assert_eq!(alert["subject"], "hosts_lost", "{alert}");
    assert_eq!(alert["blame"]["whom"]["host"], "host-1", "{alert}");
    let number = alert["alert"].as_u64().unwrap();
    eventually_true("the sink refused it twice", SOON, || {
        mailbox.at("/hook").len() >= 2
    });
    let listed = stand.ask("alert list").ok();
    assert!(
        listed["sinks"][0]["failed"].as_u64().unwrap() > 0,
        "{listed}"
    );
    assert!(
        listed["sinks"][0]["trouble"]
            .as_str()
            .unwrap()
            .contains("503"),
        "{listed}"
    );
    let doctor = stand.ask("doctor");
    assert!(doctor.stdout.contains("alert sink"), "{}", doctor.stdout);
    stand.hub.kill();
    mailbox.answers(200);
    stand.hub.start_again();
    let letters = eventually("the letter arrives", SOON, || {
        let letters = mailbox.at("/hook");
        let is_taken = letters.iter().any(|letter| letter.status == 200);
        if is_taken {
            Ok(letters)
        } else {
            Err("not yet".to_owned())
        }
    });
    let same = letters
        .iter()
        .all(|letter| letter.delivery == letters[0].delivery);
    assert!(
        same && letters[0].delivery.ends_with(&format!(":{number}")),
        "{letters:?}"
    );
    assert_eq!(
        stand.alerts("").len(),
        1,
        "the same alert, and not another one"
    );
    marked(&stand, number);
    stand.agents[0].start_again();
    eventually_true("the alert is over", SOON, || stand.alerts("").is_empty());
    eventually_true("that it is over is told", SOON, || {
        let letters = mailbox.at("/hook");
        letters
            .iter()
            .any(|letter| letter.body["event"] == "closed")
    });
    assert_eq!(stand.alerts("--all").len(), 1);
    let well = stand.does("why test/scan");
    assert_eq!(well["alert"], Value::Null, "{well}");
}

/// People say that they know of an alert, or want nobody told; and what is refused.
#[track_caller]
fn marked(stand: &Stand, number: u64) {
    assert_eq!(
        stand.ask(&format!("alert silence {number} --for 1h")).code,
        2
    );
    stand.does(&format!("alert acknowledge {number} --reason looking"));
    let again = stand.does(&format!("alert acknowledge {number}"));
    assert_eq!(again["changed"], false);
    stand.does(&format!("alert silence {number} --for 1h --reason mending"));
    let silenced = stand.does(&format!("alert show {number}"));
    assert_eq!(silenced["silenced"]["why"], "mending", "{silenced}");
    assert_eq!(silenced["acknowledged"]["why"], "looking", "{silenced}");
    assert_eq!(stand.ask("alert show 9999").code, 3);
    assert_eq!(stand.ask("why test/none").code, 3);
    assert_eq!(stand.ask("why nothing").code, 3);
    assert_eq!(stand.ask("incident export test/scan --alert 1").code, 3);
    assert_eq!(
        stand
            .ask("alert silence test/scan --for 800h --reason x")
            .code,
        2
    );
}
