//! How a question about all hosts is answered: from memory by the second where that reaches,
//! else minute by minute from the shelf, from memory, or from the disk.

use crate::store::{RollupQuery, SharedStore, Span};
use crate::telemetry::answer::{self, Answered, Cut, Rows};
use crate::telemetry::owner::Ask;
use crate::telemetry::pages::{Binder, Known, Part};
use crate::telemetry::shelf::{self, Page, Topic};
use crate::telemetry::{Answer, Question, SECOND_US, Telemetry, TelemetryError};

/// How often a query starts anew because old rows were added together while it read: that
/// happens once a minute, so that twice in one query is a store that is far too slow.
pub(super) const ATTEMPTS: usize = 5;

impl Telemetry {
    /// Windows merged over hosts and time.
    pub async fn query(&self, question: Question) -> Result<Answer, TelemetryError> {
        if let Some(host) = question.host.clone() {
            let cut = Cut::new(&question, SECOND_US);
            let (from_us, to_us) = (cut.from_us, cut.to_us);
            let ask = |reply| Ask::Recent {
                host,
                from_us,
                to_us,
                reply,
            };
            return answer::from_recent(&question, &cut, &self.ask(ask).await?);
        }
        let topic = Topic::of(&question);
        let mut cut = Cut::new(&question, SECOND_US);
        loop {
            let seconds = self.seconds(topic.clone(), cut.reach_us(), cut.to_us);
            let (whole_from_us, looks) = seconds.await?;
            if cut.from_us < whole_from_us {
                break;
            }
            match answer::from_seconds(&question, &cut, &looks)? {
                Answered::Whole(answer) => return Ok(answer),
                // Longer than the last one, and there are three lengths.
                Answered::Wider(resolution_us) => cut = Cut::new(&question, resolution_us),
            }
        }
        let now_us = self.clock.now_us();
        let cut = Cut::on_disk(&question, now_us);
        match shelf::is_kept(&topic, &cut.minutes(), now_us) {
            true => self.query_minutes(question, topic, cut).await,
            false => self.query_disk(question, cut).await,
        }
    }

    /// The answer, minute by minute. What is new is brought to the shelf.
    async fn query_minutes(
        &self,
        question: Question,
        topic: Topic,
        cut: Cut,
    ) -> Result<Answer, TelemetryError> {
        'again: for _ in 0..ATTEMPTS {
            let ask = |reply| Ask::Minutes {
                topic: topic.clone(),
                span: cut.minutes(),
                reply,
            };
            let known = self.ask(ask).await?;
            let mut fresh = Vec::new();
            for part in known.parts() {
                let Some(pages) = pages(&self.store, &question, &known, part).await? else {
                    continue 'again;
                };
                // Each part at once: whoever asked may have gone by the next, and asks again.
                let (topic, number) = (topic.clone(), known.number);
                let brought = Ask::Shelve {
                    topic,
                    number,
                    pages: settled(&known, &pages),
                };
                let sent = self.asks.send(brought).await;
                sent.map_err(|_| TelemetryError::Stopped)?;
                fresh.extend(pages);
            }
            return together(question, cut, &known, &fresh);
        }
        Err(TelemetryError::Restless)
    }

    /// The answer from the disk, and from what has not reached it.
    pub(super) async fn query_disk(
        &self,
        question: Question,
        cut: Cut,
    ) -> Result<Answer, TelemetryError> {
        for _ in 0..ATTEMPTS {
            let mut rows = Rows::new(question.clone(), cut);
            let query = rows.query();
            let (query, beside) = self.ask(|reply| Ask::BesideDisk { query, reply }).await?;
            let flush = query.flush;
            let mut take = |row| rows.take(&row);
            let compacted = self.store.rollups(query, &mut take).await;
            if compacted.map_err(TelemetryError::Store)? <= flush {
                beside.iter().for_each(|row| rows.take(row));
                return rows.finish();
            }
        }
        Err(TelemetryError::Restless)
    }
}

/// Pages of minutes that are not on the shelf; `None` where old rows were added together
/// meanwhile.
pub(super) async fn pages(
    store: &SharedStore,
    question: &Question,
    known: &Known,
    part: Part,
) -> Result<Option<Vec<(i64, Page)>>, TelemetryError> {
    let mut binder = Binder::new(question);
    match part {
        Part::Read(span) => {
            let query = RollupQuery {
                from_us: span.start,
                to_us: span.end,
                ..known.query.clone()
            };
            let mut take = |row| binder.take(&row);
            let compacted = store.rollups(query, &mut take).await;
            if compacted.map_err(TelemetryError::Store)? > known.query.flush {
                return Ok(None);
            }
            let beside = known.beside.iter();
            beside
                .filter(|row| span.contains(&row.start_us))
                .for_each(|row| binder.take(row));
            Ok(Some(binder.finish(known.read.range(span).copied())))
        }
        Part::Remembered(minute_us) => {
            let minute = minute_us..minute_us.saturating_add(Span::Minute.us());
            let looks = known.looks.iter();
            looks
                .filter(|look| minute.contains(&(look.second * SECOND_US)))
                .for_each(|look| binder.take_second(look));
            // A minute of a large fleet takes some milliseconds: reports must not wait for all.
            tokio::task::yield_now().await;
            Ok(Some(binder.finish(std::iter::once(minute_us))))
        }
    }
}

/// Those of them that the shelf takes.
pub(super) fn settled(known: &Known, fresh: &[(i64, Page)]) -> Vec<(i64, Page)> {
    let settled = fresh.iter().filter(|(at, _)| *at < known.settled_us);
    settled.cloned().collect()
}

/// The answer that they and the shelf make.
pub(super) fn together(
    question: Question,
    cut: Cut,
    known: &Known,
    fresh: &[(i64, Page)],
) -> Result<Answer, TelemetryError> {
    let mut rows = Rows::new(question, cut);
    let fresh = fresh.iter().map(|(_, page)| page);
    for page in known.shelved.values().chain(fresh) {
        page.iter().for_each(|row| rows.take(row));
    }
    rows.finish()
}
