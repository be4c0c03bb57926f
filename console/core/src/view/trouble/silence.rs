//! Hosts that are not heard of: alone, or together behind something that they share.
//!
//! Silent is not failing: a host that the hub does not hear may well serve. Where many fall
//! silent behind one label (a rack, a zone) and hardly any other host with that label is heard,
//! it is more likely that than each of them.

use std::collections::{BTreeMap, HashMap};

use super::{Object, Trouble, earliest};
use crate::view::{Glance, Status};

/// Hosts that are silent together before a label is suspected.
const LEAST_TOGETHER: usize = 2;
/// The greatest share of a label's hosts that may still be heard: those that came back first.
const FEW: f64 = 0.1;
/// Labels that are suspected at once; silence that is spread wider has another cause.
const MAX_SUSPECTS: usize = 4;
/// Hosts that are named in a line.
const NAMED: usize = 3;

const NEXT: &str = "it may well serve: systemctl status binnacle-agent there";

pub(super) fn groups(hosts: &[&Glance]) -> Vec<Trouble> {
    let silent = hosts.iter().filter(|host| host.status == Status::Silent);
    let mut silent: Vec<&Glance> = silent.copied().collect();
    if silent.is_empty() {
        return Vec::new();
    }
    if silent.len() >= LEAST_TOGETHER && silent.len() == hosts.len() {
        let what = format!("all {} hosts", hosts.len());
        let blame = "unknown: what they share, up to the hub's own network";
        return vec![trouble(&silent, "silent".into(), what, blame.into(), None)];
    }
    let mut list = Vec::new();
    if silent.len() >= LEAST_TOGETHER {
        let suspects = suspects(hosts, &silent);
        while list.len() < MAX_SUSPECTS
            && let Some((pair, of)) = worst(&suspects, &silent)
        {
            let together: Vec<&Glance> = silent
                .extract_if(.., |host| pairs(host).any(|other| other == pair))
                .collect();
            list.push(behind(pair, of, &together));
        }
    }
    if !silent.is_empty() {
        list.push(alone(&silent));
    }
    list
}

/// What hosts may share: their environment and their labels.
fn pairs(host: &Glance) -> impl Iterator<Item = (&str, &str)> {
    let environment = [("env", &*host.environment)].into_iter();
    environment.chain(host.labels.iter())
}

type Pair<'a> = (&'a str, &'a str);

/// What silent hosts share and hardly any other host has, with how many hosts have it at all.
fn suspects<'a>(hosts: &[&'a Glance], silent: &[&'a Glance]) -> HashMap<Pair<'a>, usize> {
    let mut suspects = HashMap::<Pair<'_>, Suspect>::new();
    for pair in silent.iter().flat_map(|host| pairs(host)) {
        suspects.entry(pair).or_default().silent += 1;
    }
    suspects.retain(|_, suspect| suspect.silent >= LEAST_TOGETHER);
    // A label is cleared by the first few hosts with it that are heard, and mostly all are
    // cleared soon: a large fleet is seldom walked to its end.
    for host in hosts.iter().filter(|host| host.status != Status::Silent) {
        if suspects.is_empty() {
            break;
        }
        for pair in pairs(host) {
            if let Some(suspect) = suspects.get_mut(&pair) {
                suspect.heard += 1;
                if suspect.is_cleared() {
                    suspects.remove(&pair);
                }
            }
        }
    }
    let all = |suspect: Suspect| suspect.silent + suspect.heard;
    let suspects = suspects.into_iter();
    suspects
        .map(|(pair, suspect)| (pair, all(suspect)))
        .collect()
}

#[derive(Clone, Copy, Default)]
struct Suspect {
    silent: usize,
    heard: usize,
}

impl Suspect {
    fn is_cleared(self) -> bool {
        self.heard as f64 > FEW * (self.silent + self.heard) as f64
    }
}

/// What most of these share; of several the narrowest.
fn worst<'a>(
    suspects: &HashMap<Pair<'a>, usize>,
    silent: &[&'a Glance],
) -> Option<(Pair<'a>, usize)> {
    let mut left = BTreeMap::<Pair<'_>, usize>::new();
    for pair in silent.iter().flat_map(|host| pairs(host)) {
        if suspects.contains_key(&pair) {
            *left.entry(pair).or_default() += 1;
        }
    }
    left.retain(|_, silent| *silent >= LEAST_TOGETHER);
    let all = |pair: &Pair<'_>| suspects.get(pair).copied().unwrap_or_default();
    // The last of equals is taken: then it is the first in order of name.
    let worst = left.iter().rev().max_by_key(|(pair, silent)| {
        let narrow = std::cmp::Reverse(all(pair));
        (**silent, narrow)
    })?;
    Some((*worst.0, all(worst.0)))
}

fn behind((key, value): Pair<'_>, of: usize, hosts: &[&Glance]) -> Trouble {
    let what = match hosts.len() == of {
        true => format!("all {of} of {key}={value}"),
        false => format!("{} of the {of} of {key}={value}", hosts.len()),
    };
    // What the filter cannot say is left out of it.
    let is_word =
        |text: &str| !text.contains(|at: char| at.is_whitespace() || "!=~<>".contains(at));
    let label = (is_word(key) && is_word(value)).then(|| format!("{key}={value}"));
    let title = format!("{} hosts silent", hosts.len());
    trouble(hosts, title, what, format!("{key} {value}"), label)
}

fn alone(hosts: &[&Glance]) -> Trouble {
    if let [host] = hosts {
        let what = "silent: its reports stopped".to_owned();
        let blame = "unknown: host, agent or network".to_owned();
        let trouble = trouble(hosts, host.host.to_string(), what, blame, None);
        let object = Object::Host(host.host.clone());
        return Trouble { object, ..trouble };
    }
    let mut names: Vec<&str> = hosts.iter().take(NAMED).map(|host| &*host.host).collect();
    if hosts.len() > NAMED {
        names.push("…");
    }
    let title = format!("{} hosts silent", hosts.len());
    let blame = "unknown: no label in common".to_owned();
    trouble(hosts, title, names.join(", "), blame, None)
}

fn trouble(
    hosts: &[&Glance],
    title: String,
    what: String,
    blame: String,
    label: Option<String>,
) -> Trouble {
    let label = label.map(|label| format!("{label} ")).unwrap_or_default();
    Trouble {
        severity: Status::Silent,
        title,
        since_us: earliest(hosts.iter().copied()),
        what,
        blame,
        next: NEXT.into(),
        object: Object::Hosts(format!("{label}status=silent")),
        hosts: hosts.len(),
    }
}
