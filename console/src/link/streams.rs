//! The streams of one connection: the fleet at a glance, the journal, models, followed hosts.
//!
//! They live and end together: the hub's heartbeat in the journal's stream vouches for all of
//! them. A stream that is silent for longer than [`SILENT`] is lost, whatever the transport
//! believes.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::view::EntryRow;
use binnacle_proto::v1 as proto;
use binnacle_tui::msg::{Following, Msg};
use binnacle_wire::{glance, host, journal};
use tokio::sync::watch;
use tonic::{Code, Status};

use crate::clock;
use crate::link::Link;
use crate::link::ask::refused;
use crate::link::inbox::Inbox;

/// The hub's heart beats every second; this many beats may be missed.
const SILENT: Duration = Duration::from_secs(5);
/// Between two rows of a followed host, and of all models.
const HOSTS_EVERY: Duration = Duration::from_secs(1);
const MODELS_EVERY: Duration = Duration::from_secs(2);
/// The same where there are many models, for each of them: the hub adds each up anew, and a fleet
/// with a thousand is not read line by line every two seconds.
const MODEL_EVERY: Duration = Duration::from_millis(5);
/// The longest, while they are looked at.
const MODELS_RARELY: Duration = Duration::from_secs(10);
/// While no screen shows them: the palette goes by their names.
const MODELS_UNSEEN: Duration = Duration::from_secs(60);
/// A cursor that runs down a table changes what is followed with each line: it is waited for.
const SETTLED_AFTER: Duration = Duration::from_millis(100);
/// Hosts that the hub follows for one subscriber at most.
const FOLLOWED_MAX: usize = 500;

/// Which rows are on the screen.
pub(crate) type Followed = watch::Receiver<Following>;

/// The streams of one connection, and what they put where.
#[derive(Debug)]
pub(crate) struct Streams<'a> {
    pub(crate) link: &'a Link,
    pub(crate) inbox: &'a Inbox,
    pub(crate) followed: Followed,
}

type Ended = Result<Infallible, String>;

/// What the journal's stream has told, over all connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// The last entry of the journal.
    pub(crate) since: Option<u64>,
    /// When it said anything, be it that its heart beats; by this machine's clock.
    pub(crate) heard_us: Option<i64>,
}

impl Streams<'_> {
    /// Runs until one of them is lost, and says why. `told` moves with what is told.
    pub(crate) async fn run(self, told: &mut Told) -> String {
        let ended = tokio::try_join!(
            self.journal(told),
            self.glances(),
            self.models(self.followed.clone()),
            self.hosts(self.followed.clone()),
        );
        match ended {
            Ok((never, ..)) => match never {},
            Err(why) => why,
        }
    }

    async fn journal(&self, told: &mut Told) -> Ended {
        use proto::watch_event::Body;

        let asked = proto::WatchRequest { since: told.since };
        let mut events = self
            .link
            .fleet()
            .watch(asked)
            .await
            .map_err(refused)?
            .into_inner();
        loop {
            let next = tokio::time::timeout(SILENT, events.message()).await;
            let Ok(event) = next else {
                return Err(format!("the hub was silent for {} s", SILENT.as_secs()));
            };
            let event = event.map_err(refused)?.ok_or_else(ended)?;
            told.heard_us = Some(clock::now_us());
            match event.body {
                Some(Body::Started(head)) => {
                    told.since.get_or_insert(head.sequence);
                }
                Some(Body::Entry(entry)) => {
                    told.since = Some(entry.sequence);
                    let entry = journal::from_proto(entry).map_err(unreadable)?;
                    self.inbox.entry(EntryRow::of(&entry).map_err(unreadable)?);
                }
                // A newer hub's event, within a protocol that both speak: an addition.
                Some(Body::Heartbeat(_)) | None => {}
            }
        }
    }

    async fn glances(&self) -> Ended {
        let asked = proto::GlanceRequest { at_us: None };
        let mut updates = match self.link.telemetry().glance(asked).await {
            Ok(updates) => updates.into_inner(),
            Err(status) => return self.unless_older(status).await,
        };
        loop {
            let update = updates
                .message()
                .await
                .map_err(refused)?
                .ok_or_else(ended)?;
            self.inbox
                .glances(glance::from_proto(update).map_err(unreadable)?);
        }
    }

    async fn models(&self, mut followed: Followed) -> Ended {
        let (mut known, mut every) = (HashSet::new(), MODELS_EVERY);
        loop {
            let is_shown = followed.borrow_and_update().models;
            tokio::select! {
                ended = self.model_rows(&mut known, every, is_shown) => ended?,
                () = turned(&mut followed, is_shown) => {}
            }
            every = models_every(known.len());
        }
    }

    /// All models' rows, until they should be told at another pace.
    async fn model_rows(
        &self,
        known: &mut HashSet<Arc<str>>,
        every: Duration,
        is_shown: bool,
    ) -> Result<(), String> {
        let asked = proto::SubscribeRequest {
            view: proto::View::Models.into(),
            keys: Vec::new(),
            resolution_ms: milliseconds(if is_shown { every } else { MODELS_UNSEEN }),
        };
        let updates = self.link.telemetry().subscribe(asked).await;
        let mut updates = updates.map_err(refused)?.into_inner();
        // Asked anew only where it makes a difference: each time begins with all rows.
        while !is_shown || models_every(known.len()) < every * 2 {
            let update = updates
                .message()
                .await
                .map_err(refused)?
                .ok_or_else(ended)?;
            let rows = update.models.into_iter().map(host::model_from);
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
            known.extend(rows.iter().map(|row| row.model.clone()));
            self.inbox.models(rows);
        }
        Ok(())
    }

    async fn hosts(&self, mut followed: Followed) -> Ended {
        loop {
            let keys = followed.borrow_and_update().hosts.clone();
            tokio::select! {
                ended = self.rows(&keys) => return ended,
                changed = followed.changed() => if changed.is_err() {
                    // Nobody follows anything any more: the console is closing.
                    return std::future::pending().await;
                },
            }
            tokio::time::sleep(SETTLED_AFTER).await;
        }
    }

    async fn rows(&self, keys: &[Arc<str>]) -> Ended {
        if keys.is_empty() {
            // To the hub no keys means all.
            return std::future::pending().await;
        }
        let asked = proto::SubscribeRequest {
            view: proto::View::Hosts.into(),
            keys: keys
                .iter()
                .take(FOLLOWED_MAX)
                .map(|key| key.to_string())
                .collect(),
            resolution_ms: milliseconds(HOSTS_EVERY),
        };
        let updates = self.link.telemetry().subscribe(asked).await;
        let mut updates = updates.map_err(refused)?.into_inner();
        loop {
            let update = updates
                .message()
                .await
                .map_err(refused)?
                .ok_or_else(ended)?;
            let rows = update.hosts.into_iter().map(host::from_proto);
            self.inbox
                .hosts(rows.collect::<Result<_, _>>().map_err(unreadable)?);
        }
    }

    /// A hub of an older release has no such stream: that is said once, and the rest goes on.
    async fn unless_older(&self, status: Status) -> Ended {
        if status.code() != Code::Unimplemented {
            return Err(refused(status));
        }
        let what = "the hub is of an older release and does not tell the fleet at a glance";
        self.inbox.reply(Msg::Said(Err(what.to_owned())));
        std::future::pending().await
    }
}

/// Waits until models are shown, or are not any more.
async fn turned(followed: &mut Followed, is_shown: bool) {
    let turned = followed.wait_for(|now| now.models != is_shown);
    // Without the value, which is locked as long as it is looked at.
    let is_closing = turned.await.is_err();
    if is_closing {
        // Nobody follows anything any more: the console is closing.
        std::future::pending().await
    }
}

/// How often so many models are told.
fn models_every(models: usize) -> Duration {
    let models = u32::try_from(models).unwrap_or(u32::MAX);
    MODEL_EVERY
        .saturating_mul(models)
        .clamp(MODELS_EVERY, MODELS_RARELY)
}

fn ended() -> String {
    "the hub ended the stream".to_owned()
}

fn unreadable(error: impl std::fmt::Display) -> String {
    format!("what the hub told cannot be read: {error}")
}

fn milliseconds(every: Duration) -> u32 {
    u32::try_from(every.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_models_are_told_less_often_than_ten_and_never_hardly() {
        assert_eq!(models_every(0), MODELS_EVERY);
        assert_eq!(models_every(10), MODELS_EVERY);
        assert_eq!(models_every(1_000), Duration::from_secs(5));
        assert_eq!(models_every(usize::MAX), MODELS_RARELY);
    }
}
