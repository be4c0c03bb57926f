//! Alerts in scenarios: what each host serves is measured in spans, looked at, concluded and put
//! before the state, as the hub does it.

use std::collections::BTreeMap;

use binnacle_core::alert::{self, Change, Command, Of};
use binnacle_core::endpoint::EndpointName;
use binnacle_core::journal::Entry;
use binnacle_core::judge::Counts;
use binnacle_core::name::Name;
use binnacle_core::reaction::{Measured, SPAN_S, Watch, conclude};
use binnacle_core::registry::Reference;
use binnacle_core::state::{Input, Request};
use binnacle_core::why::{self, MAX_LINES, WIDTH};

use crate::fleet::Fleet;
use crate::scenario::{counts, seconds};
use crate::telling::told;

const SPAN_US: i64 = SPAN_S as i64 * 1_000_000;

/// What one host answered with one version in one span.
type Served = (i64, Name, Reference, Counts);

/// What was measured, and what is known of it.
#[derive(Default)]
pub(crate) struct Alerting {
    watches: BTreeMap<EndpointName, Watch>,
    served: Vec<(EndpointName, Served)>,
}

impl Alerting {
    /// Does what the words say; `None` where they say nothing of alerts.
    pub(crate) fn act(
        &mut self,
        fleet: &mut Fleet,
        words: &[&str],
        because: &str,
    ) -> Option<Vec<String>> {
        match words {
            ["serve", time, endpoint, rest @ ..] => {
                let endpoint = endpoint.parse().unwrap();
                let mut came = Vec::new();
                for _ in 0..seconds(time) / SPAN_S {
                    came.extend(self.span(fleet, &endpoint, rest));
                }
                Some(came)
            }
            ["acknowledge", number] => {
                let command = Command::Acknowledge(number.parse().unwrap());
                Some(told(fleet.ask(Request::Alert(command), because)))
            }
            ["silence", of, time] => {
                let of = match of.parse() {
                    Ok(number) => Of::Alert(number),
                    Err(_) => Of::Endpoint(of.parse().unwrap()),
                };
                let command = Command::Silence(of, seconds(time));
                Some(told(fleet.ask(Request::Alert(command), because)))
            }
            ["forget"] => {
                self.watches.clear();
                Some(Vec::new())
            }
            ["why", endpoint] => Some(lines(fleet, &endpoint.parse().unwrap())),
            _ => None,
        }
    }

    /// Five seconds of `m@1 100 20ms 0%`, of all hosts that are heard or of `host=infer-1` alone.
    fn span(&mut self, fleet: &mut Fleet, name: &EndpointName, words: &[&str]) -> Vec<String> {
        let start_us = fleet.now_us;
        fleet.now_us += SPAN_US;
        let mut rest = words;
        let mut all = Counts::default();
        while !rest.is_empty() {
            let hosts = match rest[0].strip_prefix("host=") {
                Some(host) => {
                    rest = &rest[1..];
                    vec![host.parse().unwrap()]
                }
                None => fleet.heard(),
            };
            let [version, requests, at, failing, left @ ..] = rest else {
                panic!("say VERSION REQUESTS MS FAILING%: {rest:?}");
            };
            rest = left;
            let each: u64 = requests.parse::<u64>().unwrap() / hosts.len() as u64;
            for host in hosts {
                let counts = counts(&each.to_string(), at, failing);
                all.merge(&counts);
                let served = (start_us, host, version.parse().unwrap(), counts);
                self.served.push((name.clone(), served));
            }
        }
        let endpoint = fleet.state.endpoints.get(name).unwrap().clone();
        let watch = self.watches.entry(name.clone()).or_default();
        watch.measured(&endpoint, start_us, &all);
        let minute_us = 60 * 1_000_000;
        if fleet.now_us.div_euclid(minute_us) != start_us.div_euclid(minute_us) {
            watch.hosts(&hosts(&self.served, name, fleet.now_us - minute_us));
        }
        watch.look(&fleet.state, &fleet.observed, &endpoint, fleet.now_us);
        let due = watch.due(&fleet.state.alerts, &endpoint, fleet.now_us);
        let conclusions: Vec<_> = due
            .iter()
            .map(|due| {
                let measured = self.around(name, due, fleet.now_us);
                conclude(&fleet.state, &fleet.observed, &endpoint, due, &measured)
            })
            .collect();
        if conclusions.is_empty() {
            return Vec::new();
        }
        let conclusions = conclusions.into();
        told(fleet.put(Input::Concluded { conclusions }))
    }

    /// What was measured around a breach.
    fn around(
        &self,
        name: &EndpointName,
        due: &binnacle_core::reaction::Due,
        now_us: i64,
    ) -> Measured {
        let binnacle_core::reaction::Due::Breached { since_us, subject } = due else {
            return Measured::default();
        };
        let mut measured = Measured::default();
        let of = self.served.iter().filter(|(endpoint, _)| endpoint == name);
        for (_, (at_us, _, version, counts)) in of {
            let side = match at_us >= since_us {
                true => &mut measured.now,
                false => &mut measured.before,
            };
            side.entry(version.clone()).or_default().merge(counts);
        }
        let minute_us = now_us - 60 * 1_000_000;
        let from_us = match subject {
            alert::Subject::OddHost(_) => minute_us,
            alert::Subject::Objective(_) | alert::Subject::Golden | alert::Subject::HostsLost => {
                minute_us.max(*since_us)
            }
        };
        measured.hosts = hosts(&self.served, name, from_us);
        measured
    }
}

fn hosts(
    served: &[(EndpointName, Served)],
    name: &EndpointName,
    from_us: i64,
) -> BTreeMap<Name, BTreeMap<Reference, Counts>> {
    let mut hosts: BTreeMap<Name, BTreeMap<Reference, Counts>> = BTreeMap::new();
    for (endpoint, (at_us, host, version, counts)) in served {
        if endpoint == name && *at_us >= from_us {
            let versions = hosts.entry(host.clone()).or_default();
            versions.entry(version.clone()).or_default().merge(counts);
        }
    }
    hosts
}

fn lines(fleet: &Fleet, name: &EndpointName) -> Vec<String> {
    let endpoint = &fleet.state.endpoints.all[name];
    let entries = fleet.journal.iter();
    let entries = entries.map(|stored| Entry::from_body(stored.sequence, &stored.body).unwrap());
    let about: Vec<Entry> = entries
        .filter(|entry| entry.change.endpoint() == Some(name))
        .collect();
    let told = (&fleet.state, &fleet.observed);
    let item = why::why(told, endpoint, None, &about, fleet.now_us);
    assert!(item.lines.len() <= MAX_LINES, "{:?}", item.lines);
    let is_wide = |line: &str| line.chars().count() > WIDTH;
    assert!(!item.lines.iter().any(|line| is_wide(line)), "{item:?}");
    item.lines.iter().map(ToString::to_string).collect()
}

/// A change of alerts in words.
pub(crate) fn alerted(entry: &Entry, change: &Change) -> String {
    match change {
        Change::Opened(opened) => format!(
            "alert {} opened, {}: {}; {}",
            entry.sequence, opened.subject, opened.blame, opened.reaction
        ),
        Change::Blamed(blamed) => {
            format!(
                "alert {}: {}; {}",
                blamed.alert, blamed.blame, blamed.reaction
            )
        }
        Change::Closed(of) => format!("alert {} closed", of.alert),
        Change::Acknowledged(of) => format!("alert {} acknowledged", of.alert),
        Change::Silenced(silenced) => {
            let about = silenced.subject.as_ref().map(alert::Subject::to_string);
            let (endpoint, about) = (&silenced.endpoint, about.unwrap_or("all of it".into()));
            let seconds = (silenced.until_us - entry.at_us) / 1_000_000;
            format!("{endpoint}: {about} silenced for {seconds} s")
        }
    }
}
