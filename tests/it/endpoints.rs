//! What the product is for, through the real programs: versions brought to an endpoint, judged on
//! the way, and taken back, with traffic on it all the while and no request lost.

use std::io::BufRead as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use binnacle_tests::command::Ended;
use binnacle_tests::fleet::{self, Agent, Hub, Runtime};
use binnacle_tests::models::{self, Model};
use binnacle_tests::patience::{eventually, eventually_true};
use binnacle_tests::traffic::{Lane, Protocol, Traffic};

/// Between two requests of a lane.
const PACE: Duration = Duration::from_millis(4);
/// Until hosts have fetched, loaded and switched.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A hub, and hosts whose agents bring versions to their servers.
pub(crate) struct Stand {
    pub(crate) hub: Hub,
    pub(crate) agents: Vec<Agent>,
    pub(crate) runtimes: Vec<Runtime>,
    pub(crate) folder: TempDir,
}

impl Stand {
    /// Two versions of a model are registered, and an endpoint that wants few requests to judge.
    pub(crate) fn start(hosts: usize) -> Self {
        let folder = fleet::folder();
        let hub = Hub::start(folder.path());
        let (mut runtimes, mut agents) = (Vec::new(), Vec::new());
        for number in 1..=hosts {
            let repository = folder.path().join(format!("repository-{number}"));
            std::fs::create_dir_all(&repository).unwrap();
            let host = format!("host-{number}");
            let runtime = Runtime::start(
                &folder.path().join(format!("runtime-{number}")),
                &repository,
            );
            let agent = Agent::start_placing(folder.path(), &host, &hub.address(), &runtime);
            runtimes.push(runtime);
            agents.push(agent);
        }
        let stand = Self {
            hub,
            agents,
            runtimes,
            folder,
        };
        stand.does("model create tumour");
        for version in models::VERSIONS {
            let file = models::file("tumour", version);
            let file = file.to_str().unwrap();
            stand.does(&format!("version register --model tumour --file {file}"));
        }
        stand.does("endpoint create test/scan --objective errors<=5% --min-requests 100");
        eventually_true("every host is live", SOON, || {
            (1..=hosts).all(|number| {
                let host = stand.hub.host(&format!("host-{number}"));
                host.is_some_and(|host| host["state"] == "live")
            })
        });
        stand
    }

    pub(crate) fn ask(&self, words: &str) -> Ended {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.hub.ask(&words)
    }

    #[track_caller]
    pub(crate) fn does(&self, words: &str) -> Value {
        let ended = self.ask(words);
        assert_eq!(ended.code, 0, "{words}\n{}\n{}", ended.stdout, ended.stderr);
        ended.outcome()["items"][0].clone()
    }

    pub(crate) fn endpoint(&self) -> Value {
        self.does("endpoint show test/scan")
    }

    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let model = Model::called("tumour", "scan");
        let lane = |agent: &Agent, protocol| Lane {
            protocol,
            to: agent.listen(),
            model: model.clone(),
            version: String::new(),
            every: PACE,
        };
        let both = [Protocol::Http, Protocol::Grpc];
        let agents = self.agents.iter();
        agents
            .flat_map(|agent| both.map(|protocol| lane(agent, protocol)))
            .collect()
    }

    /// The first route serves.
    pub(crate) fn served(&self) {
        let told = self.does("deploy tumour@1 --to test/scan --wait=2m");
        assert_eq!(told["outcome"], "promoted", "{told}");
    }
}

#[test]
fn a_canary_is_judged_promoted_and_rolled_back_and_no_request_fails() {
    let stand = Stand::start(2);
    stand.served();
    let traffic = Traffic::start(&stand.lanes());
    let canary = "deploy tumour@2 --to test/scan --strategy canary:20%/20s --wait=3m";
    let told = stand.does(canary);
    assert_eq!(told["outcome"], "promoted", "{told}");
    let judged = &told["trail"].as_array().unwrap();
    let finding = judged
        .iter()
        .find_map(|step| step["finding"].as_object())
        .unwrap();
    assert!(
        finding["canary"]["requests"].as_u64().unwrap() >= 100,
        "{finding:?}"
    );
    assert!(
        finding["control"]["requests"].as_u64().unwrap() > 0,
        "{finding:?}"
    );
    let ready = eventually("both hosts keep the last good version warm", SOON, || {
        let endpoint = stand.endpoint();
        match endpoint["rollback"]["warm"] == 2 {
            true => Ok(endpoint["rollback"].clone()),
            false => Err(endpoint["rollback"].to_string()),
        }
    });
    assert_eq!(
        (&ready["to"], &ready["eta_ms"]),
        (&1.into(), &0.into()),
        "{ready}"
    );
    let told = stand.does("rollback test/scan --reason scores_look_wrong");
    assert_eq!(told["outcome"], "promoted", "{told}");
    assert_eq!(told["hosts_confirmed"], 2, "{told}");
    assert_eq!(told["failed_requests"], 0, "{told}");
    assert!(told["swap_ms_max"].as_f64().is_some(), "{told}");
    let tally = traffic.stop();
    tally.assert_clean();
    let again = stand.ask("deploy tumour@2 --to test/scan");
    assert_eq!(again.code, 7, "{}", again.stderr);
    assert!(again.stderr.contains("endpoint lift"), "{}", again.stderr);
}

#[test]
fn what_nobody_confirms_goes_back_by_itself_though_the_hub_is_gone() {
    let mut stand = Stand::start(1);
    stand.served();
    let traffic = Traffic::start(&stand.lanes());
    stand.does("deploy tumour@2 --to test/scan --strategy all-at-once --confirm-within 20s");
    eventually_true("the new version serves", SOON, || {
        stand.endpoint()["rollout"]["phase"] == "confirming"
    });
    stand.hub.kill();
    let live = |stand: &Stand| -> Value {
        let status = stand.agents[0]
            .control("/status")
            .map(|answer| answer.json());
        status.unwrap_or_default()["observed"]["routes"][0]["shares"].clone()
    };
    let new = live(&stand);
    eventually_true("the host goes back by itself", SOON, || live(&stand) != new);
    stand.hub.start_again();
    eventually_true("the hub takes note and gives up the rollout", SOON, || {
        let rollout = stand.ask("rollout show test/scan 2");
        rollout.code == 0 && rollout.json()["items"][0]["phase"] == "rolled_back"
    });
    let tally = traffic.stop();
    tally.assert_clean();
    let kinds: Vec<String> = entries(&stand.hub);
    assert!(
        kinds.iter().any(|kind| kind == "overrides_adopted/v1"),
        "{kinds:?}"
    );
}

#[test]
fn a_hub_killed_in_the_middle_of_a_canary_goes_on_with_it() {
    let mut stand = Stand::start(1);
    stand.served();
    let traffic = Traffic::start(&stand.lanes());
    stand.does("deploy tumour@2 --to test/scan --strategy canary:20%/20s");
    for phase in ["preparing", "baking"] {
        eventually_true(phase, SOON, || {
            let endpoint = stand.endpoint();
            endpoint["rollout"].is_null() || endpoint["rollout"]["phase"] != "shifting"
        });
        stand.hub.kill();
        stand.hub.start_again();
    }
    let watched = stand.ask("rollout watch test/scan");
    assert_eq!(watched.code, 0, "{}\n{}", watched.stdout, watched.stderr);
    assert_eq!(watched.outcome()["items"][0]["outcome"], "promoted");
    let told: Vec<&str> = watched.stdout.lines().collect();
    assert!(told.len() >= 2, "{}", watched.stdout);
    assert!(
        told[0].contains("binnacle.rollout.progress/v1"),
        "{}",
        told[0]
    );
    let tally = traffic.stop();
    tally.assert_clean();
}

#[test]
fn plans_are_looked_at_confirmed_and_run_as_they_were() {
    let stand = Stand::start(1);
    stand.does("environment set test --protected true");
    let unconfirmed = stand.ask("deploy tumour@1 --to test/scan --no-input");
    assert_eq!(unconfirmed.code, 10, "{}", unconfirmed.stderr);
    let plan = stand.ask("deploy tumour@1 --to test/scan --dry-run");
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let file = stand.folder.path().join("plan.json");
    std::fs::write(&file, &plan.stdout).unwrap();
    let run = format!("deploy --plan {} --confirm scan --wait=2m", file.display());
    assert_eq!(stand.does(&run)["outcome"], "promoted");
    let stale = stand.ask(&run);
    assert_eq!(stale.code, 6, "{}", stale.stderr);
    let same = stand.does("deploy tumour@1 --to test/scan");
    assert_eq!(same["no_change"], true, "{same}");
    let serving = stand.ask("version deprecate tumour@1 --reason old");
    assert!(serving.stderr.contains("test/scan"), "{}", serving.stderr);
    assert_eq!(stand.ask("endpoint show test/none").code, 3);
    assert_eq!(stand.ask("rollout confirm test/scan").code, 7);
    let history = stand.ask("endpoint history test/scan").ok();
    assert_eq!(history["items"][0]["fate"], "promoted", "{history}");
    assert!(Path::new(&file).exists());
}

/// Requests through five changes of the route; `tests/soak/run` asks for many times as many.
const REQUESTS: u64 = 100_000;
const CHANGES: u64 = 5;
/// A hundred changes are enough.
const CHANGES_TIMES: u64 = 20;
/// As fast as answers come.
const SOAK_PACE: Duration = Duration::from_micros(50);
/// Connections to each host by each protocol.
const LANES: usize = 4;

/// From a moment when every host had a route until it was to change again, in microseconds.
struct Settled {
    from_us: i64,
    to_us: i64,
    /// Of ten requests, those that version 2 answers.
    second: u64,
}

#[test]
fn no_request_fails_or_is_answered_by_a_version_outside_the_route_of_its_moment() {
    let times = std::env::var("BINNACLE_SOAK").map_or(1, |times| times.parse().unwrap());
    let (requests, changes) = (REQUESTS * times, CHANGES * times.min(CHANGES_TIMES));
    let stand = Stand::start(3);
    stand.served();
    let mut lanes = stand.lanes();
    lanes.iter_mut().for_each(|lane| lane.every = SOAK_PACE);
    let traffic = Traffic::start(&vec![lanes; LANES].concat());
    let mut settled: Vec<Settled> = Vec::new();
    for change in 1..=changes {
        // Each has its share of the requests before it.
        let due = requests * change / (changes + 1);
        eventually_true("requests are answered", SOON * 20 * times as u32, || {
            traffic.sent() >= due
        });
        let (words, second) = match change % 3 {
            1 => ("deploy tumour@1=80% tumour@2=20% --to test/scan", 2),
            2 => ("deploy tumour@2 --to test/scan", 10),
            _ => ("rollback test/scan --to 1 --reason soak", 0),
        };
        let way = match change % 3 {
            0 => "",
            _ => " --strategy all-at-once --confirm-within 0s --wait=2m",
        };
        let told = stand.does(&format!("{words}{way}"));
        assert_eq!(told["outcome"], "promoted", "{told}");
        if let Some(last) = settled.last_mut() {
            last.to_us = at_us(&told["at"]);
        }
        settled.push(Settled {
            from_us: at_us(&told["trail"].as_array().unwrap().last().unwrap()["at"]),
            to_us: i64::MAX,
            second,
        });
        if change % 3 == 0 {
            stand.does("endpoint lift test/scan tumour@2 --reason soak");
        }
    }
    eventually_true("requests are answered", SOON * 20 * times as u32, || {
        traffic.sent() >= requests
    });
    let tally = traffic.stop();
    tally.assert_clean();
    assert!(tally.sent() >= requests);
    let counts = answered(&stand, &settled);
    settled
        .iter()
        .zip(counts)
        .for_each(|(one, counts)| one.check(counts));
}

impl Settled {
    /// Whether the requests that began and ended in it went in its shares.
    fn check(&self, [first, second]: [u64; 2]) {
        let (all, share) = ((first + second) as f64, self.second as f64 / 10.0);
        assert!(all > 0.0, "nothing was answered meanwhile");
        let deviation = (all * share * (1.0 - share)).sqrt();
        let off = (second as f64 - all * share).abs();
        assert!(
            off <= 4.0 * deviation,
            "{second} of {all}, of which {share} were due"
        );
    }
}

/// A line of an agent's request log.
#[derive(serde::Deserialize)]
struct Logged<'a> {
    t_us: i64,
    ns: i64,
    version: &'a str,
}

/// Of each span the requests that began and ended in it, by the version that answered.
fn answered(stand: &Stand, settled: &[Settled]) -> Vec<[u64; 2]> {
    let mut counts = vec![[0; 2]; settled.len()];
    for agent in &stand.agents {
        let log = std::fs::File::open(agent.request_log()).unwrap();
        let mut lines = std::io::BufReader::new(log).lines().peekable();
        while let Some(line) = lines.next() {
            let line = line.unwrap();
            let line = match serde_json::from_str::<Logged<'_>>(&line) {
                Ok(line) => line,
                // Its end may still be on its way to the disk.
                Err(_) if lines.peek().is_none() => continue,
                Err(error) => panic!("{error}: {line}"),
            };
            let began_us = line.t_us - line.ns / 1_000;
            let after = settled.partition_point(|one| one.from_us < began_us);
            let Some(at) = after
                .checked_sub(1)
                .filter(|at| line.t_us < settled[*at].to_us)
            else {
                continue;
            };
            match line.version {
                "1" => counts[at][0] += 1,
                "2" => counts[at][1] += 1,
                other => panic!("version {other} answered"),
            }
        }
    }
    counts
}

fn at_us(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_microsecond()
}

fn entries(hub: &Hub) -> Vec<String> {
    let list = hub.ask(&["journal", "list"]).ok();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|entry| entry["kind"].as_str().unwrap().to_owned())
        .collect()
}
