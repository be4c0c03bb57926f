//! What came from the hub and was not yet shown: the latest of each key, never a backlog.
//!
//! Streams put in, the loop takes all there is. A slow terminal sees fewer states of a host in
//! between, and the last one at once; only entries of the journal are kept each, up to a limit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binnacle_core::view::{EntryRow, Glance, Glances, HostRow, ModelRow, Name};
use binnacle_tui::msg::{Link, Msg};
use tokio::sync::Notify;

/// Entries of the journal that wait at most: a page of them is 200.
const ENTRIES_MAX: usize = 1_000;
/// Answers and results that wait at most: more than are ever asked at once.
const REPLIES_MAX: usize = 1_000;

/// The inbox of the loop; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    link: VecDeque<Link>,
    glances: Option<Glances>,
    hosts: BTreeMap<Name, HostRow>,
    models: BTreeMap<Arc<str>, ModelRow>,
    entries: VecDeque<EntryRow>,
    replies: VecDeque<Msg>,
    /// Entries and replies that did not fit.
    dropped: u64,
}

impl Inbox {
    /// How the console stands with the hub.
    pub(crate) fn link(&self, link: Link) {
        self.put(|waiting| {
            // Only the last matters, and that it was live in between.
            if waiting.link.len() > 1 {
                waiting.link.pop_front();
            }
            waiting.link.push_back(link);
        });
    }

    /// The fleet, or what changed of it.
    pub(crate) fn glances(&self, glances: Glances) {
        self.put(|waiting| {
            waiting.glances = Some(match waiting.glances.take() {
                Some(before) if !glances.is_whole => merged(before, glances),
                Some(_) | None => glances,
            });
        });
    }

    /// Rows of hosts that are followed.
    pub(crate) fn hosts(&self, rows: Vec<HostRow>) {
        let rows = rows.into_iter().map(|row| (row.name.clone(), row));
        self.put(|waiting| waiting.hosts.extend(rows));
    }

    /// Rows of models.
    pub(crate) fn models(&self, rows: Vec<ModelRow>) {
        let rows = rows.into_iter().map(|row| (row.model.clone(), row));
        self.put(|waiting| waiting.models.extend(rows));
    }

    /// A new entry of the journal.
    pub(crate) fn entry(&self, entry: EntryRow) {
        self.put(|waiting| {
            if waiting.entries.len() >= ENTRIES_MAX {
                waiting.entries.pop_front();
                waiting.dropped += 1;
            }
            waiting.entries.push_back(entry);
        });
    }

    /// An answer, or what became of a wish.
    pub(crate) fn reply(&self, reply: Msg) {
        self.put(|waiting| {
            if waiting.replies.len() >= REPLIES_MAX {
                waiting.replies.pop_front();
                waiting.dropped += 1;
            }
            waiting.replies.push_back(reply);
        });
    }

    /// Waits until there is something, and takes all of it.
    pub(crate) async fn take(&self) -> Vec<Msg> {
        loop {
            let taken = std::mem::take(&mut *self.waiting()).into_messages();
            if !taken.is_empty() {
                return taken;
            }
            self.shared.news.notified().await;
        }
    }

    fn put(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.waiting());
        self.shared.news.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is left half done by a panic between two assignments.
        self.shared
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn into_messages(self) -> Vec<Msg> {
        let Self {
            link,
            glances,
            hosts,
            models,
            entries,
            replies,
            dropped,
        } = self;
        let mut all: Vec<Msg> = link.into_iter().map(Msg::Link).collect();
        all.extend(glances.map(Msg::Glances));
        if !hosts.is_empty() {
            all.push(Msg::Hosts(hosts.into_values().collect()));
        }
        if !models.is_empty() {
            all.push(Msg::Models(models.into_values().collect()));
        }
        all.extend(entries.into_iter().map(Msg::Entry));
        all.extend(replies);
        if dropped > 0 {
            let what = format!("{dropped} messages of the hub came faster than they were shown");
            all.push(Msg::Said(Err(what)));
        }
        all
    }
}

/// A change on top of what waits.
fn merged(before: Glances, change: Glances) -> Glances {
    let by_name = |glance: Glance| (glance.host.clone(), glance);
    let mut hosts: BTreeMap<Arc<str>, Glance> = before.hosts.into_iter().map(by_name).collect();
    hosts.extend(change.hosts.into_iter().map(by_name));
    Glances {
        as_of_us: change.as_of_us,
        minute_us: change.minute_us,
        is_whole: before.is_whole,
        hosts: hosts.into_values().collect(),
    }
}

#[cfg(test)]
mod tests {
    use binnacle_core::view::{Cell, Labels, Status, Traffic};

    use super::*;

    fn glance(host: &str, status: Status) -> Glance {
        Glance {
            host: host.into(),
            environment: "test".into(),
            labels: Labels::default(),
            status,
            since_us: None,
            reason: "".into(),
            cell: Cell::default(),
        }
    }

    fn glances(is_whole: bool, hosts: &[(&str, Status)]) -> Glances {
        Glances {
            as_of_us: 1,
            minute_us: None,
            is_whole,
            hosts: hosts
                .iter()
                .map(|(host, status)| glance(host, *status))
                .collect(),
        }
    }

    #[tokio::test]
    async fn the_latest_of_each_host_is_shown_and_what_was_whole_stays_so() {
        let inbox = Inbox::default();
        inbox.glances(glances(true, &[("a", Status::Ok), ("c", Status::Ok)]));
        inbox.glances(glances(false, &[("c", Status::Crit)]));
        inbox.glances(glances(false, &[("b", Status::Warn)]));
        let expected = [("a", Status::Ok), ("b", Status::Warn), ("c", Status::Crit)];
        assert_eq!(inbox.take().await, [Msg::Glances(glances(true, &expected))]);
        inbox.glances(glances(false, &[("a", Status::Silent)]));
        inbox.glances(glances(true, &[("a", Status::Ok)]));
        assert_eq!(
            inbox.take().await,
            [Msg::Glances(glances(true, &[("a", Status::Ok)]))]
        );
    }

    #[tokio::test]
    async fn rows_are_conflated_by_key_and_replies_are_not() {
        let inbox = Inbox::default();
        let model = |model: &str, requests| ModelRow {
            model: model.into(),
            traffic: Traffic {
                requests,
                ..Traffic::default()
            },
        };
        inbox.models(vec![model("a", 1), model("b", 1)]);
        inbox.models(vec![model("a", 2)]);
        inbox.reply(Msg::Tick);
        inbox.reply(Msg::Tick);
        let expected = Msg::Models(vec![model("a", 2), model("b", 1)]);
        assert_eq!(inbox.take().await, [expected, Msg::Tick, Msg::Tick]);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_said() {
        let inbox = Inbox::default();
        (0..REPLIES_MAX + 3).for_each(|_| inbox.reply(Msg::Tick));
        let told = inbox.take().await;
        assert_eq!(told.len(), REPLIES_MAX + 1);
        let Some(Msg::Said(Err(said))) = told.last() else {
            panic!("nothing was said: {told:?}");
        };
        assert!(said.starts_with("3 messages"), "{said}");
    }
}
