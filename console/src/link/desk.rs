//! Where questions wait, are asked, and are answered or given up.
//!
//! A person who presses keys quickly leaves questions behind that nobody waits for: so the newest
//! is asked first, an older asking of the same question is cancelled, few are under way at once,
//! and each is answered within [`LIMIT`], if only with a refusal. Wishes are never queued: what
//! somebody confirmed a while ago must not happen later by itself.

use std::collections::HashMap;
use std::time::Duration;

use binnacle_tui::msg::Msg;
use binnacle_tui::question::{Question, Refused, Wish};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::clock;
use crate::link::ask::Live;
use crate::link::inbox::Inbox;

/// How long a question may wait and be asked, together.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// Questions under way at once.
const UNDER_WAY_MAX: usize = 8;
/// Questions that wait; more than a screen ever asks.
const WAITING_MAX: usize = 64;

/// What the desk is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ask this.
    Ask { question: Question, generation: u64 },
    /// Have this done.
    Do(Wish),
}

#[derive(Debug)]
struct Asked {
    question: Question,
    generation: u64,
    until: Instant,
}

/// The desk of one console.
#[derive(Debug)]
pub(crate) struct Desk {
    live: watch::Receiver<Option<Live>>,
    inbox: Inbox,
    /// The newest last.
    waiting: Vec<Asked>,
    asking: JoinSet<(Question, u64)>,
    under_way: HashMap<Question, (u64, AbortHandle)>,
    wishes: JoinSet<()>,
}

impl Desk {
    /// An empty desk that asks whatever hub is live.
    pub(crate) fn new(live: watch::Receiver<Option<Live>>, inbox: Inbox) -> Self {
        Self {
            live,
            inbox,
            waiting: Vec::new(),
            asking: JoinSet::new(),
            under_way: HashMap::new(),
            wishes: JoinSet::new(),
        }
    }

    /// Does what it is told until nobody can tell it anything any more.
    pub(crate) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            self.give_up();
            self.ask_newest();
            let first = self.waiting.iter().map(|asked| asked.until).min();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Ask { question, generation }) => self.take(question, generation),
                    Some(Order::Do(wish)) => self.wish(wish),
                    None => return,
                },
                Some(ended) = self.asking.join_next() => {
                    // What was cancelled was taken off the list when it was.
                    if let Ok((question, generation)) = ended {
                        self.forget(&question, generation);
                    }
                }
                Some(_) = self.wishes.join_next() => {}
                changed = self.live.changed() => if changed.is_err() {
                    return;
                },
                () = until(first), if first.is_some() => {}
            }
        }
    }

    fn take(&mut self, question: Question, generation: u64) {
        self.waiting.retain(|asked| asked.question != question);
        if let Some((_, older)) = self.under_way.remove(&question) {
            older.abort();
        }
        if self.waiting.len() >= WAITING_MAX {
            let oldest = self.waiting.remove(0);
            self.refuse(oldest, format!("more than {WAITING_MAX} questions wait"));
        }
        self.waiting.push(Asked {
            question,
            generation,
            until: clock::now() + LIMIT,
        });
    }

    fn ask_newest(&mut self) {
        let Some(live) = self.live.borrow_and_update().clone() else {
            return;
        };
        while self.under_way.len() < UNDER_WAY_MAX {
            let Some(asked) = self.waiting.pop() else {
                return;
            };
            let (live, inbox) = (live.clone(), self.inbox.clone());
            let Asked {
                question,
                generation,
                until,
            } = asked;
            let key = question.clone();
            let handle = self.asking.spawn(async move {
                let answer = tokio::time::timeout_at(until, live.answer(&question)).await;
                inbox.reply(Msg::Answered {
                    question: question.clone(),
                    generation,
                    answer: answer.unwrap_or_else(|_| Err(late())),
                });
                (question, generation)
            });
            self.under_way.insert(key, (generation, handle));
        }
    }

    fn forget(&mut self, question: &Question, generation: u64) {
        if self
            .under_way
            .get(question)
            .is_some_and(|(of, _)| *of == generation)
        {
            self.under_way.remove(question);
        }
    }

    fn give_up(&mut self) {
        let now = clock::now();
        let is_over = |asked: &mut Asked| asked.until <= now;
        let over: Vec<Asked> = self.waiting.extract_if(.., is_over).collect();
        for asked in over {
            self.refuse(asked, late());
        }
    }

    fn refuse(&self, asked: Asked, why: String) {
        self.inbox.reply(Msg::Answered {
            question: asked.question,
            generation: asked.generation,
            answer: Err(why),
        });
    }

    fn wish(&mut self, wish: Wish) {
        let (live, inbox) = (self.live.borrow().clone(), self.inbox.clone());
        self.wishes.spawn(async move {
            let result = match live {
                Some(live) => live.done(&wish).await,
                None => Err(Refused {
                    why: "the hub is not connected: nothing was changed".to_owned(),
                    is_conflict: false,
                }),
            };
            inbox.reply(Msg::Done { wish, result });
        });
    }
}

fn late() -> String {
    format!("no answer within {} s", LIMIT.as_secs())
}

async fn until(first: Option<Instant>) {
    match first {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Question {
        Question::Host { host: name.into() }
    }

    /// Asks these of a desk whose hub is never there; gives what was answered to what.
    async fn refusals(asked: &[(&str, u64)]) -> Vec<(Question, u64, String)> {
        let (_live, never) = watch::channel(None);
        let (tell, orders) = mpsc::channel(1_000);
        let inbox = Inbox::default();
        let desk = tokio::spawn(Desk::new(never, inbox.clone()).run(orders));
        for (name, generation) in asked {
            let (question, generation) = (host(name), *generation);
            tell.send(Order::Ask {
                question,
                generation,
            })
            .await
            .unwrap();
        }
        tokio::time::sleep(LIMIT * 2).await;
        drop(tell);
        desk.await.unwrap();
        let told = inbox.take().await.into_iter().filter_map(|msg| {
            let Msg::Answered {
                question,
                generation,
                answer,
            } = msg
            else {
                return None;
            };
            Some((question, generation, answer.unwrap_err()))
        });
        told.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn each_question_is_answered_in_time_and_the_older_of_two_is_not() {
        let told = refusals(&[("a", 1), ("b", 2), ("a", 3)]).await;
        let late = late();
        assert_eq!(told, [(host("b"), 2, late.clone()), (host("a"), 3, late)]);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_questions_are_refused_the_oldest_first() {
        let names: Vec<String> = (0..=WAITING_MAX).map(|at| format!("host-{at}")).collect();
        let asked: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let told = refusals(&asked).await;
        assert_eq!(told.len(), WAITING_MAX + 1);
        assert_eq!(told[0].0, host("host-0"));
        assert!(told[0].2.starts_with("more than"), "{}", told[0].2);
    }

    #[tokio::test]
    async fn a_wish_without_a_hub_is_refused_at_once_and_never_kept() {
        let (_live, never) = watch::channel(None);
        let (tell, orders) = mpsc::channel(8);
        let inbox = Inbox::default();
        let desk = tokio::spawn(Desk::new(never, inbox.clone()).run(orders));
        let wish = Wish::Retire {
            host: "a".into(),
            reason: String::new(),
        };
        tell.send(Order::Do(wish.clone())).await.unwrap();
        let told = inbox.take().await;
        assert!(
            matches!(&told[..], [Msg::Done { wish: of, result: Err(_) }] if *of == wish),
            "{told:?}"
        );
        drop(tell);
        desk.await.unwrap();
    }
}
