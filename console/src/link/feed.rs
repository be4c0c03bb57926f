//! The console's end of the hub: connects, comes back by itself, asks, follows, tells.
//!
//! ```text
//! Connecting ──▶ Live ──▶ Lost ──wait──▶ Live …
//!      └───────────────────▲
//! ```
//!
//! Nothing here is ever awaited where keys are read: orders go into bounded queues, what comes
//! lies in an [`Inbox`].

use std::time::Duration;

use binnacle_core::address::Address;
use binnacle_proto::v1 as proto;
use binnacle_tui::msg::{Following, Link as Standing, Msg};
use binnacle_tui::question::{Question, Refused, Wish};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::clock;
use crate::context::Chosen;
use crate::link::Link;
use crate::link::ask::{Live, refused};
use crate::link::desk::{self, Desk, Order};
use crate::link::inbox::Inbox;
use crate::link::streams::{Streams, Told};

/// How long to wait before dialling again: at first, and at most, so that the console is back
/// within five seconds of the hub.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(2);
/// How long dialling may take, and then the first answer.
const DIAL_WITHIN: Duration = Duration::from_secs(2);
const GREETED_WITHIN: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one: the next wait is short again.
const GOOD_AFTER: Duration = Duration::from_secs(5);
/// Orders that wait for the desk: it takes them at once.
const ORDERS: usize = 256;

/// The hub, as the console's loop sees it. It is let go when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    inbox: Inbox,
    orders: mpsc::Sender<Order>,
    followed: watch::Sender<Following>,
    _tasks: JoinSet<()>,
}

impl Feed {
    /// Dials the hub, and goes on for as long as this lives.
    pub(crate) fn start(hub: Chosen) -> Self {
        let inbox = Inbox::default();
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (live, lives) = watch::channel(None);
        let (followed, follow) = watch::channel(Following::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(Desk::new(lives, inbox.clone()).run(ordered));
        let keeper = Keeper {
            hub,
            inbox: inbox.clone(),
            live,
            followed: follow,
        };
        tasks.spawn(keeper.run());
        Self {
            inbox,
            orders,
            followed,
            _tasks: tasks,
        }
    }

    /// Waits until the hub told something; gives all of it.
    pub(crate) async fn news(&self) -> Vec<Msg> {
        self.inbox.take().await
    }

    /// Asks the hub; the answer is news.
    pub(crate) fn ask(&self, question: Question, generation: u64) {
        let order = Order::Ask {
            question: question.clone(),
            generation,
        };
        if self.orders.try_send(order).is_err() {
            self.inbox.reply(Msg::Answered {
                question,
                generation,
                answer: Err(format!("more than {ORDERS} questions at once")),
            });
        }
    }

    /// Has a wish done; what became of it is news.
    pub(crate) fn wish(&self, wish: Wish) {
        if self.orders.try_send(Order::Do(wish.clone())).is_err() {
            let result = Err(Refused {
                why: "too much is asked at once: nothing was changed".to_owned(),
                is_conflict: false,
            });
            self.inbox.reply(Msg::Done { wish, result });
        }
    }

    /// Follows exactly these rows from now on.
    pub(crate) fn follow(&self, following: Following) {
        self.followed.send_if_modified(|now| {
            let is_news = *now != following;
            *now = following;
            is_news
        });
    }
}

/// The task that keeps the connection.
#[derive(Debug)]
struct Keeper {
    hub: Chosen,
    inbox: Inbox,
    live: watch::Sender<Option<Live>>,
    followed: watch::Receiver<Following>,
}

impl Keeper {
    async fn run(self) {
        self.inbox.link(Standing::Connecting {
            to: self.hub.address.to_string().into(),
        });
        let (mut told, mut wait) = (Told::default(), RETRY);
        loop {
            let began = clock::now();
            let why = match self.greeted().await {
                Ok(live) => self.stay(live, &mut told).await,
                Err(why) => why,
            };
            if clock::now() - began > GOOD_AFTER {
                wait = RETRY;
            }
            // A fleet of consoles must not come back at one blow.
            let pause = wait.mul_f64(rand::random_range(0.5..1.0));
            wait = (wait * 2).min(RETRY_MOST);
            let retry_us = clock::now_us() + i64::try_from(pause.as_micros()).unwrap_or(0);
            self.inbox.link(Standing::Lost {
                why: why.into(),
                retry_us,
                heard_us: told.heard_us,
            });
            tokio::time::sleep(pause).await;
        }
    }

    /// Dials, and asks the hub who it is and whom it takes us for.
    async fn greeted(&self) -> Result<Live, String> {
        // A socket that is not there says so at once, in fewer words than the transport.
        if let Address::Unix(path) = &self.hub.address
            && !path.exists()
        {
            return Err(format!("no hub listens at {}", self.hub.address));
        }
        let dialled = Link::dial(&self.hub, DIAL_WITHIN, desk::LIMIT).await;
        let link = dialled.map_err(|failure| failure.message)?;
        let asked = clock::now_us();
        let mut fleet = link.fleet();
        let status = fleet.status(proto::StatusRequest {});
        let Ok(status) = tokio::time::timeout(GREETED_WITHIN, status).await else {
            let seconds = GREETED_WITHIN.as_secs();
            return Err(format!("the hub does not answer within {seconds} s"));
        };
        let status = status.map_err(refused)?.into_inner();
        self.inbox.link(Standing::Live {
            caller: status.caller.into(),
            hub_version: status.hub_version.into(),
        });
        // The hub read its clock about half way between asking and answer.
        let ours_us = asked + (clock::now_us() - asked) / 2;
        Ok(Live {
            link,
            ahead_us: status.as_of_us - ours_us,
        })
    }

    async fn stay(&self, live: Live, told: &mut Told) -> String {
        let link = live.link.clone();
        self.live.send_replace(Some(live));
        let streams = Streams {
            link: &link,
            inbox: &self.inbox,
            followed: self.followed.clone(),
        };
        let why = streams.run(told).await;
        self.live.send_replace(None);
        why
    }
}
