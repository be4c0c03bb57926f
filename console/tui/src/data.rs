//! What the console knows: the fleet at a glance, what it follows, answers to what it asked.
//!
//! Nothing in here is judged or formatted, and everything knows when it came.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use binnacle_core::view::{EntryRow, Glance, Glances, HostRow, LatencyPage, ModelRow, Status};

use crate::msg::Link;
use crate::question::endpoint::Inquiry;
use crate::question::{Answer, Question};

mod alerts;
mod drift;
mod endpoints;

/// Entries that are kept as they arrive: what happened while one looked, some screens long.
const MAX_ENTRIES: usize = 500;
/// Answers that are kept: some for each screen that one may go back to.
const MAX_ANSWERS: usize = 64;

/// One host: at a glance, and whole where it is followed.
#[derive(Clone, Debug)]
pub struct HostLine {
    /// Of the last finished minute.
    pub glance: Glance,
    /// As it is now, and when that came by the console's clock.
    pub row: Option<(Arc<HostRow>, i64)>,
}

impl HostLine {
    /// Its name.
    pub fn host(&self) -> &Arc<str> {
        &self.glance.host
    }

    /// What it says of itself, from the newer of what is known.
    pub fn status(&self) -> Status {
        match &self.row {
            Some((row, _)) => row.status().0,
            None => self.glance.status,
        }
    }

    /// Requests a second.
    pub fn rate(&self) -> Option<f64> {
        match self.row.as_ref().and_then(|(row, _)| row.traffic) {
            Some(traffic) => Some(traffic.rate()),
            None => Some(f64::from(self.glance.cell.requests) / 60.0),
        }
    }

    /// Requests and those that failed, over one and the same span.
    pub fn errors(&self) -> (u64, u64) {
        match self.row.as_ref().and_then(|(row, _)| row.traffic) {
            Some(traffic) => (traffic.errors, traffic.requests),
            None => (
                self.glance.cell.errors.into(),
                self.glance.cell.requests.into(),
            ),
        }
    }

    /// The median in microseconds.
    pub fn p50_us(&self) -> Option<f64> {
        match self.row.as_ref().and_then(|(row, _)| row.traffic) {
            Some(traffic) => traffic.p50_ns.map(|ns| ns as f64 / 1e3),
            None => self.glance.cell.p50.us(),
        }
    }

    /// The 99th percentile in microseconds.
    pub fn p99_us(&self) -> Option<f64> {
        match self.row.as_ref().and_then(|(row, _)| row.traffic) {
            Some(traffic) => traffic.p99_ns.map(|ns| ns as f64 / 1e3),
            None => self.glance.cell.p99.us(),
        }
    }
}

/// Every host, in order of name.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    hosts: Vec<HostLine>,
    /// How many have each status: counted when it changes, read with every frame.
    counts: Vec<(Status, usize)>,
    /// Where the minute of the cells begins, by the hub's clock.
    pub minute_us: Option<i64>,
    /// Whether the hub has told of it at all.
    pub is_known: bool,
}

impl Fleet {
    /// All hosts, in order of name.
    pub fn hosts(&self) -> &[HostLine] {
        &self.hosts
    }

    /// One host.
    pub fn host(&self, name: &str) -> Option<&HostLine> {
        self.place(name).ok().and_then(|at| self.hosts.get(at))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.hosts
            .binary_search_by(|line| (**line.host()).cmp(name))
    }

    /// How many hosts have each status, from best to worst.
    pub fn count(&self, status: Status) -> usize {
        let counted = self.counts.iter().find(|(of, _)| *of == status);
        counted.map_or(0, |(_, count)| *count)
    }

    fn recount(&mut self) {
        self.counts.clear();
        for line in &self.hosts {
            let status = line.status();
            match self.counts.iter_mut().find(|(of, _)| *of == status) {
                Some((_, count)) => *count += 1,
                None => self.counts.push((status, 1)),
            }
        }
    }

    /// Takes in what the hub tells of the fleet.
    pub fn glance(&mut self, glances: Glances) {
        self.is_known = true;
        self.minute_us = glances.minute_us.or(self.minute_us);
        self.take_in(glances);
        self.recount();
    }

    fn take_in(&mut self, glances: Glances) {
        if !glances.is_whole {
            for glance in glances.hosts {
                match self.place(&glance.host) {
                    Ok(at) => {
                        if let Some(line) = self.hosts.get_mut(at) {
                            line.glance = glance;
                        }
                    }
                    Err(at) => self.hosts.insert(at, HostLine { glance, row: None }),
                }
            }
            return;
        }
        let mut rows: HashMap<Arc<str>, (Arc<HostRow>, i64)> = HashMap::new();
        for line in self.hosts.drain(..) {
            if let Some(row) = line.row {
                rows.insert(line.glance.host, row);
            }
        }
        let mut hosts = glances.hosts;
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        let line = |glance: Glance| HostLine {
            row: rows.remove(&glance.host),
            glance,
        };
        self.hosts = hosts.into_iter().map(line).collect();
    }

    /// Takes in rows of hosts that are followed.
    fn rows(&mut self, rows: Vec<HostRow>, now_us: i64) {
        for row in rows {
            if let Ok(at) = self.place(row.name.as_str())
                && let Some(line) = self.hosts.get_mut(at)
            {
                line.row = Some((Arc::new(row), now_us));
            }
        }
        self.recount();
    }

    /// Forgets rows of hosts that are not followed any more: they would grow old unseen.
    fn keep(&mut self, followed: &[Arc<str>]) {
        for line in self.hosts.iter_mut().filter(|line| line.row.is_some()) {
            if !followed.contains(&line.glance.host) {
                line.row = None;
            }
        }
        self.recount();
    }
}

/// What came of a question.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Which asking is under way, or was the last.
    pub generation: u64,
    /// When it was last asked, by the console's clock.
    pub asked_us: i64,
    /// Whether an answer is still to come.
    pub is_open: bool,
    /// Whether something has happened since it was asked that may change the answer.
    pub is_outdated: bool,
    /// The last answer, and when it came.
    pub answer: Option<(Answer, i64)>,
    /// Why the last asking failed.
    pub trouble: Option<Arc<str>>,
}

/// Seconds after which an answer with nothing in it is asked for anew: something may have begun.
const EMPTY_S: u32 = 3;
/// Seconds from one asking to the next while the registry changes again and again: an import
/// of ten thousand lines is not followed line by line.
const OUTDATED_S: u32 = 1;
/// Seconds from one asking to the next of something that is under way: one watches it.
const MOVING_S: u32 = 1;

impl Asked {
    /// Seconds after which it is asked for anew.
    pub fn refreshed_s(&self, question: &Question) -> Option<u32> {
        let every_s = question.refreshed_s()?;
        if self.is_outdated {
            return Some(every_s.min(OUTDATED_S));
        }
        match &self.answer {
            Some((answer, _)) if answer.is_empty() => Some(every_s.min(EMPTY_S)),
            Some((answer, _)) if answer.is_moving() => Some(every_s.min(MOVING_S)),
            Some(_) | None => Some(every_s),
        }
    }
}

/// How far an answer is: each is drawn in its own way.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a, T> {
    /// Asked, and nothing has come yet.
    Loading,
    /// The hub says why not.
    Broken(&'a str),
    /// The last answer, and its age in microseconds.
    Here(&'a T, i64),
}

/// What the console knows.
#[derive(Clone, Debug)]
pub struct Data {
    /// How it stands with the hub.
    pub link: Link,
    /// When the hub was last heard of, by the console's clock.
    pub heard_us: Option<i64>,
    /// The hub's clock minus the console's.
    pub skew_us: i64,
    /// Whom the hub takes us for, since it was first said.
    pub caller: Arc<str>,
    /// Every host.
    pub fleet: Fleet,
    /// Models that are called, by name.
    pub models: Vec<ModelRow>,
    /// The journal's newest entries, newest first.
    pub entries: VecDeque<EntryRow>,
    /// The fleet at the moment of the past that is shown, once it is known.
    pub past: Option<(i64, Fleet)>,
    /// Grows whenever something of the above changes.
    pub revision: u64,
    answers: HashMap<Question, Asked>,
}

impl Data {
    /// Nothing yet.
    pub fn new(link: Link) -> Self {
        Self {
            link,
            heard_us: None,
            skew_us: 0,
            caller: "".into(),
            fleet: Fleet::default(),
            models: Vec::new(),
            entries: VecDeque::new(),
            past: None,
            revision: 0,
            answers: HashMap::new(),
        }
    }

    /// Whether the hub is connected.
    pub fn is_live(&self) -> bool {
        matches!(self.link, Link::Live { .. })
    }

    /// Takes in the fleet at a glance.
    pub fn glance(&mut self, glances: Glances, now_us: i64) {
        self.skew_us = glances.as_of_us - now_us;
        self.heard(now_us);
        self.fleet.glance(glances);
    }

    /// Takes in rows that are followed.
    pub fn hosts(&mut self, rows: Vec<HostRow>, now_us: i64) {
        self.heard(now_us);
        self.fleet.rows(rows, now_us);
    }

    /// Takes in rows of hosts of which none was known: for what is frozen.
    pub fn missing_rows(&mut self, rows: &[HostRow], now_us: i64) {
        let is_missing = |row: &&HostRow| {
            let line = self.fleet.host(row.name.as_str());
            line.is_some_and(|line| line.row.is_none())
        };
        let missing: Vec<HostRow> = rows.iter().filter(is_missing).cloned().collect();
        if !missing.is_empty() {
            self.fleet.rows(missing, now_us);
            self.revision += 1;
        }
    }

    /// Another set of hosts is followed.
    pub fn follow(&mut self, followed: &[Arc<str>]) {
        self.fleet.keep(followed);
    }

    /// Takes in models that changed.
    pub fn models(&mut self, rows: Vec<ModelRow>, now_us: i64) {
        self.heard(now_us);
        for row in rows {
            match self
                .models
                .binary_search_by(|known| known.model.cmp(&row.model))
            {
                Ok(at) => {
                    if let Some(known) = self.models.get_mut(at) {
                        *known = row;
                    }
                }
                Err(at) => self.models.insert(at, row),
            }
        }
    }

    /// Takes in a new entry of the journal.
    pub fn entry(&mut self, entry: EntryRow, now_us: i64) {
        self.heard(now_us);
        let newest = self.entries.front().map_or(0, |newest| newest.sequence);
        if entry.sequence > newest {
            if entry.host().is_none() {
                self.outdate_registry();
            }
            self.entries.push_front(entry);
            self.entries.truncate(MAX_ENTRIES);
        }
    }

    /// What is known of the registry may be otherwise by now: it is asked for anew soon.
    pub fn outdate_registry(&mut self) {
        let of_registry = self.answers.iter_mut();
        let of_registry = of_registry.filter(|(question, _)| question.is_of_registry());
        of_registry.for_each(|(_, asked)| asked.is_outdated = true);
    }

    /// Notes that the hub was heard of.
    pub fn heard(&mut self, now_us: i64) {
        self.heard_us = Some(now_us);
        self.revision += 1;
    }

    /// The latency page that answers a question.
    pub fn latency(&self, question: &Question, now_us: i64) -> Known<'_, Arc<LatencyPage>> {
        self.known(question, now_us, |answer| {
            let Answer::Latency(page) = answer else {
                return None;
            };
            Some(page)
        })
    }

    /// What is known of a question; `pick` takes the answer of its kind.
    pub fn known<'a, T>(
        &'a self,
        question: &Question,
        now_us: i64,
        pick: impl Fn(&'a Answer) -> Option<&'a T>,
    ) -> Known<'a, T> {
        let Some(asked) = self.answers.get(question) else {
            return Known::Loading;
        };
        let answer = asked.answer.as_ref();
        match answer.and_then(|(answer, at_us)| Some((pick(answer)?, *at_us))) {
            Some((answer, at_us)) => Known::Here(answer, now_us - at_us),
            None => match &asked.trouble {
                Some(why) => Known::Broken(why),
                None => Known::Loading,
            },
        }
    }

    /// What came of a question.
    pub fn asked(&self, question: &Question) -> Option<&Asked> {
        self.answers.get(question)
    }

    /// Forgets what came of a question: it is asked for anew, and nothing is shown before.
    pub fn forget(&mut self, question: &Question) {
        self.answers.remove(question);
        self.revision += 1;
    }

    /// Notes that a question is asked.
    pub fn ask(&mut self, question: &Question, generation: u64, now_us: i64) {
        if !self.answers.contains_key(question) && self.answers.len() >= MAX_ANSWERS {
            // What is told on every screen stays; of those asked at one moment the first goes.
            let underway = Question::Endpoints(Inquiry::Underway);
            let others = self.answers.iter().filter(|(of, _)| **of != underway);
            let oldest = others.min_by_key(|(_, asked)| (asked.asked_us, asked.generation));
            if let Some(oldest) = oldest.map(|(question, _)| question.clone()) {
                self.answers.remove(&oldest);
            }
        }
        let asked = self.answers.entry(question.clone()).or_default();
        asked.generation = generation;
        asked.asked_us = now_us;
        asked.is_open = true;
        asked.is_outdated = false;
    }

    /// Takes in an answer; one to an older asking is dropped. Says whether it tells anything that
    /// was not known: one that repeats the last only makes it younger.
    pub fn answer(
        &mut self,
        question: &Question,
        generation: u64,
        answer: Result<Answer, String>,
        now_us: i64,
    ) -> bool {
        let Some(asked) = self.answers.get_mut(question) else {
            return false;
        };
        if asked.generation != generation {
            return false;
        }
        asked.is_open = false;
        match answer {
            Ok(answer) => {
                let known = asked.answer.as_ref().map(|(known, _)| known);
                let is_news = asked.trouble.is_some() || known != Some(&answer);
                if let (Question::Past { at_us }, Answer::Past(glances)) = (question, &answer) {
                    let mut fleet = Fleet::default();
                    fleet.glance((**glances).clone());
                    self.past = Some((*at_us, fleet));
                }
                asked.answer = Some((answer, now_us));
                asked.trouble = None;
                self.heard(now_us);
                is_news
            }
            Err(why) => {
                let is_news = asked.trouble.as_deref() != Some(why.as_str());
                asked.trouble = Some(why.into());
                self.revision += 1;
                is_news
            }
        }
    }

    /// The connection was lost: what was asked will not be answered.
    pub fn lost(&mut self) {
        self.answers
            .values_mut()
            .for_each(|asked| asked.is_open = false);
        self.revision += 1;
    }
}
