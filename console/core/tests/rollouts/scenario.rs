//! Scenarios: text in, text out. A file under tests/scenarios opens with the guarantee that it
//! shows; lines that begin with `> ` are done, and what follows each is what came of it.
//! `REGENERATE=1 cargo test -p binnacle-core scenario` writes them anew, to be read as a diff.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use binnacle_core::endpoint::{self, EndpointName, Route, Settings};
use binnacle_core::host::Labels;
use binnacle_core::judge::{Counts, Golden, Shadow, Span};
use binnacle_core::name::Name;
use binnacle_core::reaction::OnBreach;
use binnacle_core::registry::{
    self, Freeze, Line, Object, Objective, Objectives, Reference, Rules,
};
use binnacle_core::rollout::{Ask, Plan, Steer, Want, readiness};
use binnacle_core::served::OverrideKind;
use binnacle_core::view::{EndpointItem, RevisionItem, step_in_words};
use jiff::Timestamp;

use crate::alerting::Alerting;
use crate::fleet::{Fleet, Switches};
use crate::telling::{then, told, troubles};

/// A scenario while it runs.
struct Stage {
    fleet: Fleet,
    plans: BTreeMap<String, Plan>,
    alerting: Alerting,
}

#[test]
fn every_scenario_ends_as_its_golden_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 25, "scenarios are missing: {}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let golden = std::fs::read_to_string(&file).unwrap();
        assert!(
            golden.starts_with("# "),
            "{file:?} does not say what it shows"
        );
        let found = run(&golden);
        if found == golden {
            continue;
        }
        match std::env::var_os("REGENERATE") {
            Some(_) => std::fs::write(&file, found).unwrap(),
            None => wrong.push(format!(
                "{}:\n{}",
                file.display(),
                difference(&golden, &found)
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The first line that differs, with what stands before it.
fn difference(golden: &str, found: &str) -> String {
    let (golden, found): (Vec<_>, Vec<_>) = (golden.lines().collect(), found.lines().collect());
    let at = (0..).find(|&at| golden.get(at) != found.get(at)).unwrap();
    let before = golden[at.saturating_sub(3)..at].join("\n");
    let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(the end)").to_owned();
    format!(
        "{before}\n  wanted: {}\n  found:  {}",
        line(&golden),
        line(&found)
    )
}

fn run(text: &str) -> String {
    let mut stage = Stage {
        fleet: Fleet::new(),
        plans: BTreeMap::new(),
        alerting: Alerting::default(),
    };
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with('#') || line.is_empty() {
            writeln!(out, "{line}").unwrap();
        }
        if let Some(words) = line.strip_prefix("> ") {
            writeln!(out, "{line}").unwrap();
            for came in stage.act(words) {
                writeln!(out, "    {came}").unwrap();
            }
            stage.hold(words);
        }
    }
    out
}

impl Stage {
    /// What holds after every line.
    fn hold(&self, line: &str) {
        assert_eq!(self.fleet.unsafe_wish(), None, "{line}");
        assert_eq!(self.fleet.unready_route(), None, "{line}");
        assert_eq!(self.fleet.replayed(), self.fleet.state, "{line}");
    }

    fn act(&mut self, line: &str) -> Vec<String> {
        let (line, why) = line.split_once(" because ").unwrap_or((line, ""));
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["hosts", environment, hosts @ ..] => {
                for host in hosts {
                    self.fleet.admit(environment, host, Labels::default());
                }
                Vec::new()
            }
            ["host", environment, host, labels @ ..] => {
                self.fleet.admit(environment, host, labelled(labels));
                Vec::new()
            }
            ["protect", environment] => {
                let rules = Rules {
                    protected: true,
                    ..Rules::default()
                };
                let environment = environment.parse().unwrap();
                let set = registry::Command::SetEnvironment(environment, rules);
                told(self.fleet.registry(set, ""))
            }
            ["rules", environment, rules @ ..] => {
                let rules = self.rules(rules, why);
                let environment = environment.parse().unwrap();
                let set = registry::Command::SetEnvironment(environment, rules);
                told(self.fleet.registry(set, ""))
            }
            ["as", who] => {
                self.fleet.becomes(who);
                Vec::new()
            }
            ["model", name, versions] => {
                let versions = versions.parse().unwrap();
                self.fleet.model(&name.parse().unwrap(), versions);
                Vec::new()
            }
            ["deprecate", version] => {
                let object = Object::Version(version.parse().unwrap());
                told(
                    self.fleet
                        .registry(registry::Command::Deprecate(object), why),
                )
            }
            ["endpoint", name, said @ ..] => {
                let create = endpoint::Command::Create(of(name), settings(said));
                told(self.fleet.command(create, why))
            }
            ["edit", name, said @ ..] => {
                let edit = endpoint::Command::Edit(of(name), settings(said));
                told(self.fleet.command(edit, why))
            }
            ["plan", key, rest @ ..] => self.plan(key, &asked(rest)),
            ["run", key] => {
                let plan = Box::new(self.plans[*key].clone());
                told(self.fleet.command(endpoint::Command::Run(plan), why))
            }
            ["deploy" | "rollback", ..] => told(self.fleet.run(&asked(&words), why)),
            [word, name] if steer(word).is_some() => self.steer(name, steer(word).unwrap(), why),
            ["lift", name, version] => {
                let lift = endpoint::Command::Lift(of(name), version.parse().unwrap());
                told(self.fleet.command(lift, why))
            }
            ["show", what, rest @ ..] => self.show(what, rest),
            words => self.happens(words, why),
        }
    }

    /// What hosts do, what is measured, and time.
    fn happens(&mut self, words: &[&str], why: &str) -> Vec<String> {
        match words {
            ["follow", hosts @ ..] => self.follow(hosts, Switches::Yes),
            ["load", hosts @ ..] => self.follow(hosts, Switches::No),
            ["breaks", host, version] => {
                let host = self.fleet.hosts.get_mut(&name(host)).unwrap();
                host.broken.insert(version.parse().unwrap(), why.to_owned());
                Vec::new()
            }
            ["silent", hosts @ ..] => {
                hosts
                    .iter()
                    .for_each(|host| self.fleet.hang_up(&name(host)));
                Vec::new()
            }
            ["back", hosts @ ..] => {
                hosts.iter().for_each(|host| self.fleet.dial(&name(host)));
                Vec::new()
            }
            ["by-hand", host, endpoint] => {
                let kind = OverrideKind::ByHand;
                self.fleet
                    .decide_alone(&name(host), &of(endpoint), kind, why);
                Vec::new()
            }
            ["reverts", host, endpoint] => {
                let kind = OverrideKind::Unconfirmed;
                self.fleet
                    .decide_alone(&name(host), &of(endpoint), kind, "");
                Vec::new()
            }
            ["kill"] => {
                self.fleet.kill();
                Vec::new()
            }
            ["tick", time] => told(Ok(self.fleet.tick(seconds(time)))),
            ["golden", endpoint, failed, "of", asked] => {
                let golden = Golden {
                    asked: asked.parse().unwrap(),
                    failed: failed.parse().unwrap(),
                };
                self.evidence(&of(endpoint)).golden = golden;
                Vec::new()
            }
            [
                "shadow",
                endpoint,
                compared,
                "compared",
                same,
                "same",
                failed,
                "failed",
            ] => {
                let shadow = Shadow {
                    compared: compared.parse().unwrap(),
                    same: same.parse().unwrap(),
                    failed: failed.parse().unwrap(),
                };
                self.evidence(&of(endpoint)).shadow = shadow;
                Vec::new()
            }
            ["measure", time, endpoint, "canary", canary @ ..] => {
                self.measure(time, endpoint, canary)
            }
            words => match self.alerting.act(&mut self.fleet, words, why) {
                Some(came) => came,
                None => panic!("what is {words:?}?"),
            },
        }
    }

    /// So many requests in each ten seconds of each version, with a latency around which they lie
    /// and a share that fails.
    fn measure(&mut self, time: &str, endpoint: &str, words: &[&str]) -> Vec<String> {
        let [
            canary,
            at,
            failing,
            "control",
            control,
            control_at,
            control_failing,
        ] = words
        else {
            panic!("say canary N MS% FAILING% control N MS FAILING%: {words:?}");
        };
        let span = Span {
            canary: counts(canary, at, failing),
            control: counts(control, control_at, control_failing),
        };
        let mut came = Vec::new();
        for _ in 0..seconds(time) / 10 {
            self.evidence(&of(endpoint)).spans.push(span.clone());
            came.extend(told(Ok(self.fleet.tick(10))));
        }
        came
    }

    fn evidence(&mut self, name: &EndpointName) -> &mut binnacle_core::judge::Evidence {
        let stamp = self.fleet.state.endpoints.get(name).unwrap().stamp;
        self.fleet
            .evidence
            .entry((name.clone(), stamp))
            .or_default()
    }

    fn follow(&mut self, hosts: &[&str], switches: Switches) -> Vec<String> {
        let hosts: Vec<Name> = match hosts {
            [] => self.fleet.heard(),
            hosts => hosts.iter().map(|host| name(host)).collect(),
        };
        hosts
            .iter()
            .for_each(|host| self.fleet.follow(host, switches));
        Vec::new()
    }

    /// `approvals:2`, `frozen:8h`, in any order.
    fn rules(&self, words: &[&str], why: &str) -> Rules {
        let mut rules = Rules::default();
        for word in words {
            match word.split_once(':').unwrap() {
                ("approvals", count) => rules.approvals = count.parse().unwrap(),
                ("frozen", lasts) => {
                    let until_us = self.fleet.now_us + i64::from(seconds(lasts)) * 1_000_000;
                    rules.freeze = Some(Freeze {
                        until: Timestamp::from_microsecond(until_us).unwrap(),
                        why: Line::parse(why).unwrap(),
                    });
                }
                _ => panic!("what is {word}?"),
            }
        }
        rules
    }

    fn steer(&mut self, name: &str, steer: Steer, why: &str) -> Vec<String> {
        told(
            self.fleet
                .command(endpoint::Command::Steer(of(name), None, steer), why),
        )
    }

    fn plan(&mut self, key: &str, ask: &Ask) -> Vec<String> {
        match Plan::make(&self.fleet.state, ask, self.fleet.now_us) {
            Err(refusal) => vec![format!("refused: {refusal}")],
            Ok(None) => vec!["nothing to change".into()],
            Ok(Some(plan)) => {
                let intent = &plan.intent;
                let mut lines = vec![format!("plan {}", &plan.hash.to_string()[..12])];
                let steps = intent.steps.iter().map(step_in_words);
                lines.extend(
                    steps
                        .enumerate()
                        .map(|(at, step)| format!("{}. {step}", at + 1)),
                );
                if intent.confirm_within_s > 0 {
                    lines.push(format!("confirm within {} s", intent.confirm_within_s));
                }
                self.plans.insert(key.to_owned(), plan);
                lines
            }
        }
    }

    fn show(&self, what: &str, rest: &[&str]) -> Vec<String> {
        if rest == ["wanted"] {
            return self.wanted(what);
        }
        let endpoint = &self.fleet.state.endpoints.all[&of(what)];
        if let ["then", ago] = rest {
            let at_us = self.fleet.now_us - i64::from(seconds(ago)) * 1_000_000;
            return match EndpointItem::at(&self.fleet.state, endpoint, at_us) {
                None => vec!["was not named".into()],
                Some(row) => then(&row),
            };
        }
        if rest == ["troubles"] {
            let (state, observed) = (&self.fleet.state, &self.fleet.observed);
            let now_us = self.fleet.now_us;
            let row = EndpointItem::of(state, observed, endpoint, now_us);
            return troubles(&row, now_us);
        }
        if rest == ["history"] {
            let line = |revision: &std::sync::Arc<endpoint::Revision>| {
                let item = RevisionItem::of(revision);
                format!(
                    "{} {} {} {}",
                    item.revision, item.text, item.fate, item.fate_why
                )
            };
            return endpoint.revisions.iter().map(line).collect();
        }
        let phase = endpoint.rollout.as_ref().map(|rollout| {
            format!(
                "revision {} {} {}",
                rollout.revision,
                rollout.phase,
                rollout.phase.why()
            )
        });
        let route = endpoint.route().map_or("none".to_owned(), Route::to_string);
        let mut lines = vec![format!("live {} {route}", endpoint.live)];
        lines.extend(phase);
        let blocked = endpoint.blocked.iter();
        lines.extend(blocked.map(|(version, block)| format!("blocked {version}: {}", block.why)));
        let (state, observed) = (&self.fleet.state, &self.fleet.observed);
        if let Some(ready) = readiness::readiness(state, observed, endpoint) {
            let eta = ready
                .eta_ms
                .map_or("unknown".to_owned(), |ms| format!("{ms} ms"));
            lines.push(format!(
                "rollback to {}: {}/{} warm, {} verified, {} silent, eta {eta}",
                ready.to, ready.warm, ready.hosts, ready.verified, ready.silent
            ));
        }
        lines
    }

    fn wanted(&self, host: &str) -> Vec<String> {
        let wanted = self.fleet.wanted(&name(host)).unwrap();
        let mut lines = vec![format!("generation {}", wanted.generation)];
        for duty in &wanted.work.endpoints {
            let kept: Vec<String> = duty
                .versions
                .iter()
                .map(|it| it.version.to_string())
                .collect();
            let route = duty
                .route
                .as_ref()
                .map_or("none".to_owned(), |(stamp, route)| {
                    format!("{}.{} {route}", stamp.revision, stamp.step)
                });
            lines.push(format!(
                "{}: {route}; keeps {}",
                duty.endpoint,
                kept.join(" ")
            ));
            if let Some(back) = &duty.dead_man {
                let (stamp, ms) = (back.stamp, back.after_ms);
                lines.push(format!(
                    "  in {ms} ms back to {}.{} {}",
                    stamp.revision, stamp.step, back.route
                ));
            }
        }
        lines
    }
}

fn of(name: &str) -> EndpointName {
    name.parse().unwrap()
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

fn labelled(words: &[&str]) -> Labels {
    let pair = |word: &&str| {
        let (key, value) = word.split_once('=').unwrap();
        (key.to_owned(), value.to_owned())
    };
    Labels::parse(words.iter().map(pair).collect()).unwrap()
}

pub(crate) fn seconds(text: &str) -> u32 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => panic!("{text} is no time"),
    };
    number.parse::<u32>().unwrap() * unit
}

fn settings(words: &[&str]) -> Settings {
    let mut settings = Settings::default();
    let mut objectives: Vec<Objective> = Vec::new();
    for word in words {
        match word.split_once(':') {
            Some(("keep", count)) => settings.policy.keep_warm = count.parse().unwrap(),
            Some(("missing", share)) => settings.policy.may_be_missing = share.parse().unwrap(),
            Some(("requests", count)) => settings.policy.min_requests = count.parse().unwrap(),
            Some(("select", label)) => settings.selector = labelled(&[label]),
            Some(("back", a_day)) => {
                settings.reactions.on_breach = OnBreach::RollBack;
                settings.reactions.rollbacks_a_day = a_day.parse().unwrap();
            }
            _ => objectives.push(word.parse().unwrap()),
        }
    }
    settings.objectives = Objectives::parse(objectives).unwrap();
    settings
}

/// `deploy prod/fraud fraud@2 canary:5%/10m confirm:60`, `rollback prod/fraud to:3`.
fn asked(words: &[&str]) -> Ask {
    let [verb, endpoint, rest @ ..] = words else {
        panic!("{words:?} is no ask");
    };
    let mut ask = Ask {
        endpoint: of(endpoint),
        want: Want::Rollback(None),
        strategy: None,
        confirm_within_s: None,
        keeps_sticky: false,
    };
    let mut route = Vec::new();
    for word in rest {
        match word.split_once(':') {
            Some(("to", number)) => ask.want = Want::Rollback(Some(number.parse().unwrap())),
            Some(("confirm", within)) => ask.confirm_within_s = Some(within.parse().unwrap()),
            _ if word.contains('@') => route.push(*word),
            _ => ask.strategy = Some(word.parse().unwrap()),
        }
    }
    if *verb == "deploy" {
        ask.want = Want::Deploy(split(&route));
    }
    ask
}

/// `fraud@1=90% fraud@2=10%`, or one version for all.
fn split(words: &[&str]) -> Route {
    let [one] = words else {
        let parts = words.iter().map(|word| {
            let (version, share) = word.split_once('=').unwrap();
            let share: f64 = share.trim_end_matches('%').parse().unwrap();
            endpoint::Split {
                version: version.parse().unwrap(),
                weight: (share * 100.0) as u32,
            }
        });
        let parts = endpoint::route::Parts {
            versions: parts.collect(),
            ..Default::default()
        };
        return Route::parse(parts).unwrap();
    };
    Route::whole(one.parse::<Reference>().unwrap())
}

/// Latencies that lie around `at`, the slowest at thrice that.
pub(crate) fn counts(requests: &str, at: &str, failing: &str) -> Counts {
    let requests: u64 = requests.parse().unwrap();
    let at: f64 = at.trim_end_matches("ms").parse().unwrap();
    let failing: f64 = failing.trim_end_matches('%').parse().unwrap();
    let errors = (requests as f64 * failing / 100.0).round() as u64;
    let mut counts = Counts {
        errors,
        ..Counts::default()
    };
    for n in 0..requests - errors {
        let place = (n as f64 + 0.5) / (requests - errors) as f64;
        let ms = at * (0.5 + place + 1.5 * place.powi(40));
        *counts.latency.entry((ms * 1e6) as u64).or_default() += 1;
    }
    counts
}

/// What a person's word asks of a rollout.
fn steer(word: &str) -> Option<Steer> {
    Some(match word {
        "pause" => Steer::Pause,
        "resume" => Steer::Resume,
        "abort" => Steer::Abort,
        "confirm" => Steer::Confirm,
        "approve" => Steer::Approve,
        "reject" => Steer::Reject,
        _ => return None,
    })
}
