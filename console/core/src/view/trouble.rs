//! What is wrong now: from the fleet at a glance to a list that is read half awake, worst first.
//!
//! Hosts say themselves what is dark; what they cannot see is found by comparing them with
//! their peers, the other hosts of their environment. Blame is laid only where the figures
//! carry it: one host unlike its peers is that host, all hosts alike are none of them, and
//! everything else is unknown and said to be. What too few requests stand behind is not judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use self::peers::Unlike;
use super::{EndpointName, Glance, LatencyPoint, Status};

pub use self::endpoints::endpoint_troubles;

mod endpoints;
mod pace;
mod peers;
mod silence;

/// Hosts of one kind of trouble that are named; the others are counted. More than these fit no
/// small terminal, and nobody reads on: the list of hosts is one key away.
pub const MAX_NAMED: usize = 5;
/// From this share of an environment's hosts on it is not they who are to blame.
const MOST: f64 = 0.75;
/// More than this share of hosts that are unlike the others have something in common.
const SOME: f64 = 0.1;
/// Under this many hosts "all of them" says nothing.
const LEAST_ALL: usize = 2;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    /// How bad it is.
    pub severity: Status,
    /// What it is about: a host, an environment, or how many hosts.
    pub title: String,
    /// Since when, as far as the hub saw; absent where the last minute alone shows it.
    pub since_us: Option<i64>,
    /// What is wrong, in one line.
    pub what: String,
    /// What is to blame, in one line.
    pub blame: String,
    /// What helps, in one line.
    pub next: String,
    /// Where to look.
    pub object: Object,
    /// How many hosts it concerns. No host is in two troubles, but for those of all hosts.
    pub hosts: usize,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// This host.
    Host(Arc<str>),
    /// The hosts that this filter shows.
    Hosts(String),
    /// This endpoint.
    Endpoint(EndpointName),
}

/// What is wrong, and what was looked at to say so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Troubles {
    /// Worst first.
    pub list: Vec<Trouble>,
    /// Hosts that were looked at: all but the retired ones.
    pub hosts: usize,
    /// Those of them with enough requests and enough peers to be compared.
    pub compared: usize,
    /// When a host last changed its status, as far as the hub saw.
    pub changed_us: Option<i64>,
}

/// Judges the fleet: each host at a glance, in any order, and all requests of the last half
/// hour step by step, finished steps only (none where they are not known).
pub fn troubles<'a>(
    hosts: impl IntoIterator<Item = &'a Glance>,
    past: &[LatencyPoint],
) -> Troubles {
    let hosts = hosts.into_iter();
    let mut hosts: Vec<&Glance> = hosts
        .filter(|host| host.status != Status::Retired)
        .collect();
    // The order in which they come must not show.
    hosts.sort_unstable_by(|a, b| a.host.cmp(&b.host));
    let mut environments = BTreeMap::<&str, Vec<&Glance>>::new();
    for host in &hosts {
        let environment = environments.entry(&host.environment);
        environment.or_default().push(host);
    }
    let mut list = Vec::new();
    let mut compared = 0;
    for (environment, hosts) in &environments {
        let came = peers::compare(environment, hosts);
        compared += came.compared;
        list.extend(came.all);
        list.extend(said(environment, came.hosts, hosts.len()));
    }
    list.extend(silence::groups(&hosts));
    list.extend(pace::slower(&hosts, past));
    // Wider before narrower, later before earlier; what is left stands as it was found.
    list.sort_by(|a, b| {
        let worse = b.severity.cmp(&a.severity);
        let wider = || b.hosts.cmp(&a.hosts);
        let later = || b.since_us.cmp(&a.since_us);
        worse.then_with(wider).then_with(later)
    });
    Troubles {
        list,
        hosts: hosts.len(),
        compared,
        changed_us: hosts.iter().filter_map(|host| host.since_us).max(),
    }
}

/// A host, and in what it is unlike its peers.
#[derive(Clone, Copy)]
struct Suspect<'a> {
    glance: &'a Glance,
    unlike: Option<Unlike>,
}

/// Troubles of an environment's hosts that are heard of: what they say themselves, and in what
/// they are unlike their peers.
fn said(environment: &str, hosts: Vec<Suspect<'_>>, all: usize) -> Vec<Trouble> {
    let mut kinds = BTreeMap::<Kind<'_>, Vec<Suspect<'_>>>::new();
    for host in hosts {
        let kind = match (host.glance.status, host.unlike) {
            (status @ (Status::Crit | Status::Warn), _) => Kind::Says(status, &host.glance.reason),
            (Status::Ok, Some(_)) => Kind::Unlike,
            (Status::Ok | Status::Silent | Status::Retired, _) => continue,
        };
        kinds.entry(kind).or_default().push(host);
    }
    let mut list = Vec::new();
    let mut rest = BTreeMap::<Status, Vec<Suspect<'_>>>::new();
    for (kind, hosts) in kinds {
        match kind {
            Kind::Says(status, reason) if is_most(hosts.len(), all) => {
                list.push(all_say(environment, status, reason, &hosts, all));
            }
            Kind::Says(status, reason) if hosts.len() > MAX_NAMED => {
                list.push(many_say(environment, status, reason, &hosts));
            }
            Kind::Says(status, _) => rest.entry(status).or_default().extend(hosts),
            Kind::Unlike => list.extend(apart(environment, hosts, all)),
        }
    }
    for (status, hosts) in rest {
        list.extend(named(hosts, status, || {
            let what = format!("say {}", status.word());
            (what, filter(environment, status))
        }));
    }
    list
}

/// Hosts that say nothing of themselves and are unlike their peers.
fn apart(environment: &str, hosts: Vec<Suspect<'_>>, all: usize) -> Vec<Trouble> {
    let many = hosts.len();
    let unlike: Vec<Unlike> = hosts.iter().filter_map(|host| host.unlike).collect();
    let mut list = named(hosts, Status::Warn, || {
        let filter = peers::filter(environment, unlike.into_iter());
        ("far from their peers".to_owned(), filter)
    });
    if many > MAX_NAMED && many as f64 > SOME * all as f64 {
        for trouble in &mut list {
            trouble.blame = format!("unknown: {many} hosts are so");
        }
    }
    list
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind<'a> {
    Says(Status, &'a str),
    Unlike,
}

fn is_most(part: usize, whole: usize) -> bool {
    part >= LEAST_ALL && part as f64 >= MOST * whole as f64
}

fn filter(environment: &str, status: Status) -> String {
    format!("env={environment} status={}", status.word().to_lowercase())
}

/// Since when the first of them.
fn earliest<'a>(hosts: impl IntoIterator<Item = &'a Glance>) -> Option<i64> {
    hosts.into_iter().filter_map(since).min()
}

/// Since when it is in trouble by its own words; a host that is OK has none.
fn since(host: &Glance) -> Option<i64> {
    host.since_us.filter(|_| host.status != Status::Ok)
}

fn reason_of(status: Status, reason: &str) -> String {
    match (reason, status) {
        ("", Status::Crit) => "nothing answers".into(),
        ("", _) => "something does not answer".into(),
        (reason, _) => reason.to_owned(),
    }
}

/// Each host by its name, up to the limit, and the others as one: what they have, and where.
fn named(
    mut hosts: Vec<Suspect<'_>>,
    severity: Status,
    others: impl FnOnce() -> (String, String),
) -> Vec<Trouble> {
    // The latest first: what has just begun is what one was woken for. Then the farthest off.
    let times = |host: &Suspect<'_>| host.unlike.map_or(0.0, |unlike| unlike.times());
    hosts.sort_by(|a, b| {
        let later = since(b.glance).cmp(&since(a.glance));
        let farther = || times(b).total_cmp(&times(a));
        let by_name = || a.glance.host.cmp(&b.glance.host);
        later.then_with(farther).then_with(by_name)
    });
    // One that is left over takes no more room by its name than as "1 more".
    let shown = match hosts.len() {
        all if all <= MAX_NAMED + 1 => all,
        _ => MAX_NAMED,
    };
    let rest = hosts.split_off(shown);
    let mut list: Vec<Trouble> = hosts.iter().map(|host| one(host, severity)).collect();
    if !rest.is_empty() {
        let (what, filter) = others();
        list.push(Trouble {
            severity,
            title: format!("{} more hosts", rest.len()),
            since_us: earliest(rest.iter().map(|host| host.glance)),
            what,
            blame: "unknown".into(),
            next: "the list of hosts tells each one's reason".into(),
            object: Object::Hosts(filter),
            hosts: rest.len(),
        });
    }
    list
}

fn one(host: &Suspect<'_>, severity: Status) -> Trouble {
    let Suspect { glance, unlike } = host;
    let (says, next) = match glance.status {
        Status::Crit => (true, "its agent is well: start its inference server again"),
        Status::Warn => (true, "its page tells which version does not answer"),
        Status::Ok | Status::Silent | Status::Retired => match unlike {
            Some(unlike) if unlike.is_slow() => (false, "its page tells load, and which model"),
            Some(_) | None => (false, "its page tells which model fails"),
        },
    };
    let says = says.then(|| reason_of(glance.status, &glance.reason));
    let facts = says.into_iter().chain(unlike.map(|unlike| unlike.words()));
    Trouble {
        severity,
        title: glance.host.to_string(),
        since_us: since(glance),
        what: facts.collect::<Vec<_>>().join("; "),
        blame: "this host".into(),
        next: next.into(),
        object: Object::Host(glance.host.clone()),
        hosts: 1,
    }
}

fn all_say(
    environment: &str,
    severity: Status,
    reason: &str,
    hosts: &[Suspect<'_>],
    all: usize,
) -> Trouble {
    let reason = reason_of(severity, reason);
    Trouble {
        severity,
        title: environment.to_owned(),
        since_us: earliest(hosts.iter().map(|host| host.glance)),
        what: format!("{} of {all} hosts: {reason}", hosts.len()),
        blame: "no one host: what all of them share".into(),
        next: "what changed for all of them last?".into(),
        object: Object::Hosts(filter(environment, severity)),
        hosts: hosts.len(),
    }
}

fn many_say(environment: &str, severity: Status, reason: &str, hosts: &[Suspect<'_>]) -> Trouble {
    Trouble {
        severity,
        title: format!("{} hosts", hosts.len()),
        since_us: earliest(hosts.iter().map(|host| host.glance)),
        what: reason_of(severity, reason),
        blame: "unknown: all say the same".into(),
        next: "what do these hosts have in common?".into(),
        object: Object::Hosts(filter(environment, severity)),
        hosts: hosts.len(),
    }
}

#[cfg(test)]
mod tests;
