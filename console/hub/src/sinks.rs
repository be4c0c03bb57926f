//! Sinks: who is told of alerts, beside those who look. Each reads the journal for itself, keeps a
//! mark of how far it has come in the store, and so gets every letter at least once, in order,
//! also over a hub that was killed. What a sink does not take is tried again, ever more slowly,
//! and given up in the end; how each fares can be seen.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use binnacle_core::alert::Alert;
use binnacle_core::journal::{Change, Entry, Stored};
use binnacle_core::view::{AlertItem, SinkItem};
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use sha2::{Digest as _, Sha256};
use tokio::sync::broadcast::error::RecvError;
use url::Url;

use self::letter::{Event, Letter};
use crate::clock::Clock;
use crate::engine::{Engine, chain};
use crate::store::{SharedStore, StoreError};
use crate::why::Asker;

mod letter;

/// Where PagerDuty takes events, unless another region is named.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
/// How long a sink may take for a letter.
const WITHIN: Duration = Duration::from_secs(10);
/// Before the first try again; doubled with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Between two tries at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Tries of one letter: about two hours. By then people have found out by other means, and what
/// came since has to be told.
const MAX_TRIES: u32 = 120;
/// Entries that are read at once.
const PAGE: u32 = 256;
/// Between two looks at a store that cannot be read.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Bytes of a sink's answer that are told where it refuses.
const MAX_ANSWER: usize = 200;
/// Sinks of one hub: each is a task and a connection.
pub const MAX_SINKS: usize = 16;

/// What kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JSON, as this house says it.
    Webhook,
    /// A message in a channel.
    Slack,
    /// Events v2.
    PagerDuty,
    /// Alertmanager's API v2.
    Alertmanager,
}

/// Somebody who is told of alerts. What it is made from may be a secret, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Sink {
    kind: Kind,
    url: Url,
    /// PagerDuty's routing key; empty for the others.
    key: Arc<str>,
}

/// Why text is no sink.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotASink {
    /// No kind of ours.
    #[error(
        "this is no sink: say webhook=URL, slack=URL, pagerduty=KEY, pagerduty=KEY,URL or \
         alertmanager=URL, with @FILE in place of what is secret"
    )]
    Kind,
    /// No URL over which a letter can be sent.
    #[error("{0} needs a URL with http or https")]
    Url(&'static str),
    /// A key that is none.
    #[error("pagerduty needs a routing key of 1 to 64 letters and digits")]
    Key,
}

impl Kind {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
            Self::Alertmanager => "alertmanager",
        }
    }
}

impl FromStr for Sink {
    type Err = NotASink;
    fn from_str(text: &str) -> Result<Self, NotASink> {
        let (kind, value) = text.trim().split_once('=').ok_or(NotASink::Kind)?;
        let url = |kind: Kind, text: &str| {
            let parsed = Url::parse(text).ok();
            let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
            parsed
                .filter(is_web)
                .ok_or(NotASink::Url(kind.word()))
                .map(|url| (kind, url))
        };
        let ((kind, url), key) = match kind {
            "webhook" => (url(Kind::Webhook, value)?, ""),
            "slack" => (url(Kind::Slack, value)?, ""),
            "alertmanager" => {
                // Its address is given, and the path is its API's.
                let base = value.trim_end_matches('/');
                (
                    url(Kind::Alertmanager, &format!("{base}/api/v2/alerts"))?,
                    "",
                )
            }
            "pagerduty" => {
                let (key, at) = value.split_once(',').unwrap_or((value, PAGERDUTY));
                let is_key = (1..=64).contains(&key.len())
                    && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !is_key {
                    return Err(NotASink::Key);
                }
                (url(Kind::PagerDuty, at)?, key)
            }
            _ => return Err(NotASink::Kind),
        };
        let key = key.into();
        Ok(Self { kind, url, key })
    }
}

/// `slack at hooks.slack.com`: the rest of the URL may be a secret.
impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, host) = (self.kind.word(), self.url.host_str().unwrap_or_default());
        match self.url.port() {
            Some(port) => write!(f, "{kind} at {host}:{port}"),
            None => write!(f, "{kind} at {host}"),
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sink({self})")
    }
}

impl Sink {
    /// What its mark is kept under: the same for as long as it is the same sink.
    fn reader(&self) -> String {
        let whole = format!("{}\n{}\n{}", self.kind.word(), self.url, self.key);
        let digest = hex(&Sha256::digest(whole));
        format!("sink {} {digest}", self.kind.word())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How letters fare at each sink, since the hub started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Board(Arc<Mutex<Vec<SinkItem>>>);

impl Board {
    /// Of each sink, in their order.
    pub(crate) fn items(&self) -> Vec<SinkItem> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn add(&self, sink: &Sink) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(SinkItem {
            sink: sink.to_string().into(),
            ..SinkItem::default()
        });
        all.len() - 1
    }

    fn note(&self, place: usize, note: impl FnOnce(&mut SinkItem)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(item) = all.get_mut(place) {
            note(item);
        }
    }
}

/// The task of one sink.
pub(crate) struct Post {
    sink: Sink,
    engine: Engine,
    store: SharedStore,
    clock: Clock,
    board: Board,
    place: usize,
}

/// What became of one try.
enum Tried {
    Taken,
    /// It may be taken later.
    Later(String),
    /// It never will be.
    Refused(String),
}

impl Post {
    pub(crate) fn new(
        sink: Sink,
        (engine, store): (Engine, SharedStore),
        clock: Clock,
        board: Board,
    ) -> Self {
        let place = board.add(&sink);
        Self {
            sink,
            engine,
            store,
            clock,
            board,
            place,
        }
    }

    /// Reads the journal, and sends what it has to say of alerts, until the engine stops.
    pub(crate) async fn run(self) {
        let client = reqwest::Client::builder()
            .timeout(WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return self.trouble(chain(&error)),
        };
        // What is written while the mark is read comes twice, and not never.
        let mut news = self.engine.follow();
        let mut at = self.begin().await;
        loop {
            let page = match self.store.entries(at, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    self.trouble(chain(&error));
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            };
            for stored in &page {
                self.take(&client, stored).await;
                at = stored.sequence;
            }
            self.board.note(self.place, |item| item.up_to = at);
            if !page.is_empty() {
                continue;
            }
            match news.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Where it goes on: at its mark, or for a sink that is new before the oldest open alert.
    async fn begin(&self) -> u64 {
        loop {
            match self.store.mark(self.sink.reader()).await {
                Ok(Some(at)) => return at,
                Ok(None) => {
                    let state = &self.engine.published().state;
                    let oldest = state.alerts.open.keys().next();
                    let at = oldest.map_or(state.sequence, |number| number - 1);
                    // A mark from now on: what comes while it cannot be reached is not missed.
                    match self.store.set_mark(self.sink.reader(), at).await {
                        Ok(()) => return at,
                        Err(error) => self.trouble(chain(&error)),
                    }
                }
                Err(error) => self.trouble(chain(&error)),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn trouble(&self, why: String) {
        tracing::warn!(sink = %self.sink, why, "alerts are not told");
        self.board
            .note(self.place, |item| item.trouble = why.into());
    }

    /// Sends what an entry has to say, if it is about an alert, and notes that it is done with.
    async fn take(&self, client: &reqwest::Client, stored: &Stored) {
        // Most entries say nothing of alerts, and need not be read.
        let says = b"\"alert_";
        let is_about = stored.body.windows(says.len()).any(|bytes| bytes == says);
        let entry = Entry::from_body(stored.sequence, &stored.body);
        let Some(entry) = entry.ok().filter(|_| is_about) else {
            return;
        };
        let letter = loop {
            match self.letter(&entry).await {
                Ok(letter) => break letter,
                Err(error) => self.trouble(chain(&error)),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        };
        let body = letter.as_ref().and_then(|letter| letter.body(&self.sink));
        if let (Some(letter), Some(body)) = (&letter, body) {
            match letter.is_silenced() {
                true => self.board.note(self.place, |item| item.silenced += 1),
                false => self.deliver(client, letter, &body).await,
            }
        }
        while let Err(error) = self
            .store
            .set_mark(self.sink.reader(), entry.sequence)
            .await
        {
            self.trouble(chain(&error));
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// What there is to say of an entry; `None` where it is nothing for anybody outside.
    async fn letter(&self, entry: &Entry) -> Result<Option<Letter>, StoreError> {
        let Change::Alert(change) = &entry.change else {
            return Ok(None);
        };
        let (Some(event), Some(number)) = (Event::of(change), change.alert(entry.sequence)) else {
            return Ok(None);
        };
        let published = self.engine.published();
        let state = &published.state;
        let now_us = self.clock.now_us();
        let alert: Option<&Arc<Alert>> = state.alerts.get(number);
        let endpoint = state.endpoints.get(change.endpoint());
        // One that is older than what is kept is no news to anybody.
        let Some((alert, endpoint)) = alert.zip(endpoint) else {
            return Ok(None);
        };
        let asker = Asker {
            published: &published,
            store: &self.store,
            now_us,
        };
        Ok(Some(Letter {
            store: state.store.clone(),
            sequence: entry.sequence,
            event,
            at_us: entry.at_us,
            alert: AlertItem::of(state, alert, now_us),
            why: asker.why(endpoint, Some(alert)).await?,
        }))
    }

    /// Tries until it is taken, refused, or was tried for long enough.
    async fn deliver(&self, client: &reqwest::Client, letter: &Letter, body: &[u8]) {
        let mut wait = FIRST_WAIT;
        for tries in 1..=MAX_TRIES {
            let (why, is_last) = match self.try_once(client, letter, body).await {
                Tried::Taken => {
                    return self.board.note(self.place, |item| {
                        item.delivered += 1;
                        item.trouble = "".into();
                    });
                }
                Tried::Later(why) => (why, tries == MAX_TRIES),
                Tried::Refused(why) => (why, true),
            };
            self.board.note(self.place, |item| {
                item.failed += 1;
                item.given_up += u64::from(is_last);
            });
            self.trouble(why);
            if is_last {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_once(&self, client: &reqwest::Client, letter: &Letter, body: &[u8]) -> Tried {
        let sent = client
            .post(self.sink.url.clone())
            .header(CONTENT_TYPE, "application/json")
            // The same for every try: who was told before can see that.
            .header("x-binnacle-delivery", letter.key())
            .body(body.to_vec())
            .send()
            .await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => return Tried::Later(chain(&error.without_url())),
        };
        let status = answer.status();
        if status.is_success() {
            return Tried::Taken;
        }
        let says = answer.text().await.unwrap_or_default();
        let says: String = says.chars().take(MAX_ANSWER).collect();
        let why = format!("it answers {status}: {}", binnacle_core::view::shown(&says));
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
                Tried::Later(why)
            }
            status if status.is_server_error() => Tried::Later(why),
            _ => Tried::Refused(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_is_read_as_it_is_typed_and_shows_no_secret() {
        for (text, shown) in [
            (
                "webhook=http://127.0.0.1:8080/hook?token=s3cret",
                "webhook at 127.0.0.1:8080",
            ),
            (
                "slack=https://hooks.slack.com/services/T0/B0/s3cret",
                "slack at hooks.slack.com",
            ),
            ("pagerduty=s3cret", "pagerduty at events.pagerduty.com"),
            (
                "pagerduty=s3cret,http://127.0.0.1:1/x",
                "pagerduty at 127.0.0.1:1",
            ),
            ("alertmanager=http://am:9093/", "alertmanager at am:9093"),
        ] {
            let sink: Sink = text.parse().unwrap();
            assert_eq!(sink.to_string(), shown);
            assert!(!format!("{sink:?} {}", sink.reader()).contains("s3cret"));
        }
        let prefixed: Sink = "alertmanager=http://am/prom/".parse().unwrap();
        assert_eq!(prefixed.url.as_str(), "http://am/prom/api/v2/alerts");
        for bad in [
            "",
            "webhook",
            "webhook=",
            "webhook=ftp://x",
            "webhook=/etc/passwd",
            "mail=http://x",
            "pagerduty=",
            "pagerduty=a b",
            "pagerduty=key,nowhere",
        ] {
            let why = bad.parse::<Sink>().unwrap_err().to_string();
            assert!(!why.is_empty(), "{bad}");
        }
    }
}
