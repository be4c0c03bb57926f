//! Why: the ten lines that are the same on a screen, in a terminal and in every alert. What is
//! wrong since when, by whose fault, what serves, what was changed just before, whether going back
//! helps and is ready, the command that acts, and where the runbook lies.
//!
//! At most [`MAX_LINES`] lines of at most [`WIDTH`] columns: they fit a pager's screen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::alert::{self, Alert, Reaction, Subject};
use crate::blame::Whom;
use crate::endpoint::{self, Endpoint, EndpointName};
use crate::journal::{Change, Entry};
use crate::name::Name;
use crate::observed::Observed;
use crate::registry::Objective;
use crate::rollout::Phase;
use crate::rollout::readiness::readiness;
use crate::state::State;
use crate::view::{AlertItem, ReadinessItem, rfc3339, shown};

/// Lines at most.
pub const MAX_LINES: usize = 10;
/// Columns of a line at most.
pub const WIDTH: usize = 80;
/// Columns before what a line says.
const LABEL: usize = 10;
/// Entries about an endpoint that are enough to find those that matter: a canary's phases are many.
pub const ENTRIES: usize = 50;
/// Changes that are told.
const CHANGES: usize = 2;
/// What was changed this long after the onset may still be why: a breach is noticed in spans.
const EARLY_US: i64 = 30 * SECOND_US;
/// Hosts that are named.
const NAMED: usize = 3;

const SECOND_US: i64 = 1_000_000;

/// Why, as data; the lines among it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyItem {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// The alert that it is about; null where none is open.
    pub alert: Option<AlertItem>,
    /// Further alerts that are open there.
    pub more: u32,
    /// The lines.
    pub lines: Vec<Arc<str>>,
    /// What serves, as text; empty for nothing.
    pub route: Arc<str>,
    /// As which revision; 0 for none.
    pub revision: u64,
    /// How many hosts serve it.
    pub hosts: u32,
    /// Those of them that are heard.
    pub heard: u32,
    /// Some of those that are not.
    pub silent: Vec<Name>,
    /// What was changed just before, newest first.
    pub changes: Vec<ChangeItem>,
    /// Whether going back helps, as things are now; null where nobody knows, or nothing is wrong.
    pub helps: Option<bool>,
    /// Whether it is ready; null where there is nothing to go back to.
    pub rollback: Option<ReadinessItem>,
    /// The command that acts.
    pub command: Arc<str>,
    /// Where it says what to do; empty where nobody said.
    pub runbook: Arc<str>,
}

/// A change of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeItem {
    /// When, as text.
    pub at: Arc<str>,
    /// Who.
    pub caller: Arc<str>,
    /// What, in words.
    pub what: Arc<str>,
    /// Why, in the caller's words.
    pub why: Arc<str>,
    /// The entry.
    pub journal: u64,
}

/// Why an endpoint is as it is: about `alert`, or where none is wanted about the one that is worst.
/// `entries` are the last ones about the endpoint, in any order.
pub fn why(
    (state, observed): (&State, &Observed),
    endpoint: &Endpoint,
    alert: Option<&Alert>,
    entries: &[Entry],
    now_us: i64,
) -> WhyItem {
    let worst = state.alerts.worst(&endpoint.name);
    let alert = alert.or(worst.map(|alert| &**alert));
    let open = state.alerts.of(&endpoint.name);
    let more = open.filter(|open| Some(open.number) != alert.map(|alert| alert.number));
    let hosts: Vec<&Name> = crate::rollout::tick::hosts_of(state, &endpoint.name).collect();
    let silent = hosts.iter().copied();
    let silent: Vec<&Name> = silent
        .filter(|name| observed.commanding(name).is_none())
        .collect();
    let until_us = alert.map_or(now_us, |alert| alert.since_us + EARLY_US);
    let ready = readiness(state, observed, endpoint);
    let route = endpoint.route().map(ToString::to_string);
    let mut item = WhyItem {
        endpoint: endpoint.name.clone(),
        alert: alert.map(|alert| AlertItem::of(state, alert, now_us)),
        more: more.count() as u32,
        lines: Vec::new(),
        route: route.unwrap_or_default().into(),
        revision: endpoint.live,
        hosts: hosts.len() as u32,
        heard: (hosts.len() - silent.len()) as u32,
        silent: silent.into_iter().take(NAMED).cloned().collect(),
        changes: changes(entries, until_us, alert),
        helps: alert.and_then(|alert| helps(endpoint, &alert.blame.whom)),
        rollback: ready.and_then(|ready| ReadinessItem::of(endpoint, &ready)),
        command: "".into(),
        runbook: endpoint.settings.reactions.runbook.as_str().into(),
    };
    let can_go_back = item.rollback.is_some() && item.helps == Some(true);
    item.command = command(endpoint, alert, can_go_back).into();
    item.lines = lines(&item, endpoint, alert, entries, now_us);
    item
}

/// Whether going back helps. Where the version is gone that it is laid to, going back would bring
/// it again.
fn helps(endpoint: &Endpoint, whom: &Whom) -> Option<bool> {
    let is_gone = matches!(whom, Whom::Version(version) if !endpoint.has(version));
    match is_gone {
        true => Some(false),
        false => whom.is_helped_by_rollback(),
    }
}

/// The last changes until a moment that somebody would think of, newest first.
fn changes(entries: &[Entry], until_us: i64, alert: Option<&Alert>) -> Vec<ChangeItem> {
    let mut entries: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.at_us <= until_us)
        // What followed from the alert is not why.
        .filter(|entry| alert.is_none_or(|alert| entry.sequence < alert.number))
        .collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
    let item = |entry: &Entry| {
        Some(ChangeItem {
            at: seconds(entry.at_us).into(),
            caller: entry.caller.to_string().into(),
            what: changed(entry)?.into(),
            why: entry.why.as_str().into(),
            journal: entry.sequence,
        })
    };
    entries.into_iter().filter_map(item).take(CHANGES).collect()
}

/// What an entry changed, where it says something to somebody who was woken.
fn changed(entry: &Entry) -> Option<String> {
    use endpoint::Change as Of;

    let Change::Endpoint(change) = &entry.change else {
        return None;
    };
    match change {
        Of::Created(_) => Some("named".into()),
        Of::Edited(_) => Some("settings edited".into()),
        Of::Accepted(accepted) => {
            let intent = &accepted.plan.intent;
            let (revision, after) = (accepted.revision, &intent.after);
            Some(match intent.is_rollback() {
                true => format!("revision {revision}: back to {after}"),
                false => format!("revision {revision}: {after} by {}", intent.strategy),
            })
        }
        Of::Moved(of) => match &of.moved.to {
            Phase::Promoted => Some(format!("revision {} promoted", of.revision)),
            Phase::RollingBack(_) => Some(format!("revision {} taken back", of.revision)),
            Phase::Aborting(_) => Some(format!("revision {} given up", of.revision)),
            Phase::Awaiting { .. } => Some(format!("revision {} was approved", of.revision)),
            Phase::Preparing
            | Phase::Step(..)
            | Phase::Confirming
            | Phase::Pausing(_)
            | Phase::Paused(_)
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => None,
        },
        Of::Lifted(lifted) => Some(format!("{} may come again", lifted.version)),
        Of::Adopted(adopted) => {
            let hosts = adopted.overrides.len();
            Some(format!("{hosts} hosts decided for themselves"))
        }
    }
}

/// What an entry about an endpoint says, for an account of what happened there: every one of them.
pub fn event(entry: &Entry) -> Option<String> {
    match &entry.change {
        Change::Endpoint(endpoint::Change::Moved(of)) => {
            let (revision, to) = (of.revision, &of.moved.to);
            let (there, all) = (of.moved.confirmed, of.moved.hosts);
            Some(format!("revision {revision} {to}, {there} of {all} hosts"))
        }
        Change::Endpoint(_) => changed(entry),
        Change::Alert(change) => Some(match change {
            alert::Change::Opened(opened) => {
                let (number, subject) = (entry.sequence, &opened.subject);
                let (blame, reaction) = (&opened.blame, &opened.reaction);
                format!("alert {number}: not {subject}; {blame}; {reaction}")
            }
            alert::Change::Blamed(blamed) => {
                let (number, blame, reaction) = (blamed.alert, &blamed.blame, &blamed.reaction);
                format!("alert {number}: {blame}; {reaction}")
            }
            alert::Change::Closed(of) => format!("alert {} closed", of.alert),
            alert::Change::Acknowledged(of) => format!("alert {} acknowledged", of.alert),
            alert::Change::Silenced(_) => "silenced".into(),
            alert::Change::Rebaselined(_) => "inputs accepted as normal".into(),
        }),
        Change::Genesis { .. }
        | Change::HostAdmitted(_)
        | Change::HostRelabelled(_)
        | Change::HostRetired { .. }
        | Change::HostReadmitted { .. }
        | Change::HostDrained { .. }
        | Change::HostResumed { .. }
        | Change::Registry(_) => None,
    }
}

/// The command that acts.
fn command(endpoint: &Endpoint, alert: Option<&Alert>, can_go_back: bool) -> String {
    let name = &endpoint.name;
    let Some(alert) = alert.filter(|alert| alert.closed.is_none()) else {
        return format!("binnacle endpoint show {name}");
    };
    if let Reaction::RollBack { revision, .. } = &alert.reaction {
        return format!("binnacle rollout show {name} {revision}");
    }
    let model = endpoint.route().and_then(|route| route.versions().next());
    let model = model.map(|version| version.name.clone());
    let figures = || match &model {
        Some(model) => format!("binnacle latency --model {model} --since 1h --step 1m"),
        None => format!("binnacle endpoint show {name}"),
    };
    match (&alert.subject, &alert.blame.whom) {
        (_, Whom::Version(_)) if can_go_back => {
            format!("binnacle rollback {name} --reason 'alert {}'", alert.number)
        }
        (Subject::Drift, Whom::Upstream | Whom::Caller(_) | Whom::Unknown) => {
            format!("binnacle drift explain {name}")
        }
        (Subject::HostsLost, Whom::Host(host)) => format!("binnacle host show {host}"),
        (Subject::HostsLost, _) => "binnacle host list".into(),
        (_, Whom::Host(host)) => {
            format!(
                "binnacle host drain {host} --reason 'alert {}'",
                alert.number
            )
        }
        (_, Whom::Version(_) | Whom::Upstream | Whom::Caller(_) | Whom::Unknown) => figures(),
    }
}

fn lines(
    item: &WhyItem,
    endpoint: &Endpoint,
    alert: Option<&Alert>,
    entries: &[Entry],
    now_us: i64,
) -> Vec<Arc<str>> {
    let mut page = Page::default();
    match alert {
        Some(alert) => about(&mut page, item, alert, now_us),
        None => page.line("", &well(endpoint, entries)),
    }
    let serves = match item.revision {
        0 => "nothing yet".to_owned(),
        revision => format!("{} (revision {revision})", item.route),
    };
    let silent: Vec<&str> = item.silent.iter().map(Name::as_str).collect();
    let silent = match silent.is_empty() {
        true => String::new(),
        false => format!(", not {}", silent.join(" ")),
    };
    let hosts = format!("; {} of {} hosts heard{silent}", item.heard, item.hosts);
    page.line("serves", &format!("{serves}{hosts}"));
    for change in &item.changes {
        let why = match change.why.is_empty() {
            true => String::new(),
            false => format!(": {}", change.why),
        };
        page.line(
            "changed",
            &format!("{} {} by {}{why}", change.at, change.what, change.caller),
        );
    }
    page.line("rollback", &rollback(item, alert));
    page.line("do", &item.command);
    if !item.runbook.is_empty() {
        page.line("runbook", &item.runbook);
    }
    page.0.truncate(MAX_LINES);
    page.0
}

/// The first lines: what is wrong, since when, and by whose fault.
fn about(page: &mut Page, item: &WhyItem, alert: &Alert, now_us: i64) {
    let subject = &alert.subject;
    let since = seconds(alert.since_us);
    let lasted_us = alert.closed.as_ref().map_or(now_us, |mark| mark.at_us) - alert.since_us;
    let state = match (&alert.closed, item.more) {
        (Some(_), _) => "closed".to_owned(),
        (None, 0) => alert.subject.severity().word().to_owned(),
        (None, more) => format!("{}, and {more} more", alert.subject.severity().word()),
    };
    let (number, lasted) = (alert.number, lasts(lasted_us));
    let name = &alert.endpoint;
    page.line(
        "",
        &format!("{name}: not {subject} since {since} ({lasted}); alert {number}, {state}"),
    );
    page.line("found", &alert.what);
    page.lines("blame", &alert.blame.to_string(), 2);
    match (&alert.closed, &alert.reaction) {
        (Some(mark), _) => page.line("closed", &mark.why),
        (None, Reaction::Frozen(why)) => page.line("frozen", why),
        (None, Reaction::Tell(_) | Reaction::RollBack { .. }) => {}
    }
}

/// What is said of an endpoint where no alert is open.
fn well(endpoint: &Endpoint, entries: &[Entry]) -> String {
    let name = &endpoint.name;
    let objectives = endpoint.settings.objectives.iter();
    let objectives: Vec<String> = objectives.map(Objective::to_string).collect();
    match (&endpoint.rollout, objectives.is_empty()) {
        (Some(rollout), _) => format!(
            "{name}: no alert is open; revision {} is {}",
            rollout.revision, rollout.phase
        ),
        (None, true) => {
            format!("{name}: nothing has to hold here, so nothing is known to be wrong")
        }
        (None, false) if entries.is_empty() => format!("{name}: no alert is open"),
        (None, false) => format!("{name}: no alert is open; {}", objectives.join(", ")),
    }
}

fn rollback(item: &WhyItem, alert: Option<&Alert>) -> String {
    let acts = alert.map(|alert| &alert.reaction);
    if let Some(reaction @ Reaction::RollBack { .. }) = acts {
        return reaction.to_string();
    }
    let helps = match (alert, item.helps) {
        (None, _) => "",
        (Some(_), Some(true)) => "helps; ",
        (Some(alert), Some(false)) => match &alert.blame.whom {
            Whom::Version(_) => "does not help, that version serves no more; ",
            Whom::Host(_) | Whom::Upstream | Whom::Caller(_) | Whom::Unknown => "does not help; ",
        },
        (Some(_), None) => "may help, nobody knows; ",
    };
    let Some(ready) = &item.rollback else {
        return format!("{helps}there is nothing to go back to");
    };
    let eta = match ready.eta_ms {
        Some(0) => "at once".to_owned(),
        Some(ms) => format!("in {:.1} s", ms as f64 / 1e3),
        None => "in unknown time".to_owned(),
    };
    format!(
        "{helps}{eta} to revision {} ({}): {} of {} hosts warm",
        ready.to, ready.route, ready.warm, ready.hosts
    )
}

/// Lines while they are written.
#[derive(Default)]
struct Page(Vec<Arc<str>>);

impl Page {
    fn line(&mut self, label: &str, text: &str) {
        self.lines(label, text, 1);
    }

    /// Text on at most so many lines; what does not fit is left out, and that is shown.
    fn lines(&mut self, label: &str, text: &str, most: usize) {
        let (head, indent) = match label {
            "" => (String::new(), String::new()),
            label => (format!("{label:<LABEL$}"), " ".repeat(LABEL)),
        };
        let text = shown(text);
        let mut rest = text.trim();
        for at in 1..=most {
            let start = if at == 1 { &head } else { &indent };
            let room = WIDTH - start.chars().count();
            let (taken, left) = split(rest, room, at == most);
            self.0.push(format!("{start}{taken}").into());
            rest = left;
            if rest.is_empty() {
                return;
            }
        }
    }
}

/// What fits into `room` columns, at a blank where there is one, and what is left.
fn split(text: &str, room: usize, is_last: bool) -> (String, &str) {
    let Some((end, _)) = text.char_indices().nth(room) else {
        return (text.to_owned(), "");
    };
    if is_last {
        let end = text.char_indices().nth(room - 1).map_or(0, |(at, _)| at);
        return (format!("{}…", text.get(..end).unwrap_or("")), "");
    }
    let fits = text.get(..end).unwrap_or("");
    let end = fits.rfind(' ').filter(|at| *at > 0).unwrap_or(end);
    let (taken, left) = text.split_at(end);
    (taken.to_owned(), left.trim_start())
}

/// A moment to the second, in UTC.
pub fn seconds(at_us: i64) -> String {
    rfc3339(at_us - at_us.rem_euclid(SECOND_US))
}

/// How long something lasts: `42s`, `4m 10s`, `3h 5m`, `2d 4h`.
pub fn lasts(us: i64) -> String {
    let s = us.max(0) / SECOND_US;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, s % 3_600 / 60),
        _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_line_fits_and_only_the_last_one_loses_words(
            text in "\\PC{0,300}", label in "[a-z]{0,8}", most in 1usize..4,
        ) {
            let mut page = Page::default();
            page.lines(&label, &text, most);
            prop_assert!((1..=most).contains(&page.0.len()));
            for (at, line) in page.0.iter().enumerate() {
                prop_assert!(line.chars().count() <= WIDTH, "{line:?}");
                let is_last = at + 1 == page.0.len();
                prop_assert!(is_last || !line.ends_with('…') || text.contains('…'), "{line:?}");
            }
        }
    }

    #[test]
    fn a_long_sentence_breaks_between_words() {
        let mut page = Page::default();
        let text = "this version: fraud@8: 42.10% (421 of 1000) over 250ms, 1.00% may be; \
                    fraud@7 beside it: 0.22%";
        page.lines("blame", text, 2);
        assert_eq!(
            page.0.join("\n"),
            "blame     this version: fraud@8: 42.10% (421 of 1000) over 250ms, 1.00% may be;\n\
             \x20         fraud@7 beside it: 0.22%"
        );
    }

    #[test]
    fn how_long_it_lasts_is_short() {
        let told = [-5, 42, 250, 11_100, 187_200].map(|s| lasts(s * SECOND_US));
        assert_eq!(told, ["0s", "42s", "4m 10s", "3h 5m", "2d 4h"]);
    }
}
