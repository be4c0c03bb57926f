//! An episode: from the page to the moment when the model is as it was, or is told to be.
//!
//! A model that stays moved alarms again and again; it pages once. What alarms again while an
//! episode is open belongs to it. The episode is over when at least four times as many observations
//! have come without an alarm as the last alarm took: then the cause is gone, or it would have
//! been seen again.

use serde::{Deserialize, Serialize};

/// How many times the observations of its last alarm must pass quietly.
const QUIET: u64 = 4;

/// Where a model's episode stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Episode {
    /// Nothing has moved.
    #[default]
    Quiet,
    /// It moved.
    Open(Open),
}

/// An episode that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// When it paged, in microseconds since 1970.
    pub since_us: i64,
    /// Alarms of it, the page among them.
    pub alarms: u32,
    /// Observations that the last alarm took.
    pub took: u64,
    /// Observations since.
    pub quiet: u64,
    /// Who has seen it.
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// When.
    pub at_us: i64,
    /// Why nothing more is to be said of it.
    pub reason: String,
}

/// What can happen to an episode.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The model's evidence reached the threshold of a page, by so many observations.
    Alarm {
        /// When.
        at_us: i64,
        /// Observations since the evidence was last nothing.
        took: u64,
    },
    /// So many observations came, and no alarm.
    Passed(u64),
    /// Somebody has seen it.
    Acknowledge(Acknowledged),
    /// The model has another reference from now on, or what it shows was accepted as normal.
    Rebaselined,
}

/// What follows for those around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Somebody is to be told.
    Page,
    /// It goes on: shown, not paged.
    GoesOn,
    /// It was seen.
    Acknowledged,
    /// It is over.
    Over,
}

impl Episode {
    /// Takes what happened.
    pub fn on(&mut self, event: Event) -> Effect {
        match (&mut *self, event) {
            (Self::Quiet, Event::Alarm { at_us, took }) => {
                *self = Self::Open(Open {
                    since_us: at_us,
                    alarms: 1,
                    took,
                    quiet: 0,
                    acknowledged: None,
                });
                Effect::Page
            }
            (Self::Quiet, Event::Passed(_) | Event::Acknowledge(_) | Event::Rebaselined) => {
                Effect::Nothing
            }
            (Self::Open(open), Event::Alarm { took, .. }) => {
                open.alarms = open.alarms.saturating_add(1);
                (open.took, open.quiet) = (took, 0);
                Effect::GoesOn
            }
            (Self::Open(open), Event::Passed(observations)) => {
                open.quiet = open.quiet.saturating_add(observations);
                if open.quiet < open.took.max(1).saturating_mul(QUIET) {
                    return Effect::Nothing;
                }
                *self = Self::Quiet;
                Effect::Over
            }
            (Self::Open(open), Event::Acknowledge(by)) => {
                if open.acknowledged.is_some() {
                    return Effect::Nothing;
                }
                open.acknowledged = Some(by);
                Effect::Acknowledged
            }
            (Self::Open(_), Event::Rebaselined) => {
                *self = Self::Quiet;
                Effect::Over
            }
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(at_us: i64, took: u64) -> Event {
        Event::Alarm { at_us, took }
    }

    #[test]
    fn a_model_that_stays_moved_pages_once() {
        let mut episode = Episode::default();
        assert_eq!(episode.on(alarm(1, 300)), Effect::Page);
        for at_us in 2..50 {
            assert_eq!(episode.on(Event::Passed(1_199)), Effect::Nothing);
            assert_eq!(episode.on(alarm(at_us, 300)), Effect::GoesOn);
        }
        let Episode::Open(open) = &episode else {
            panic!("open")
        };
        assert_eq!((open.since_us, open.alarms), (1, 49));
        assert_eq!(episode.on(Event::Passed(1_200)), Effect::Over);
        assert_eq!(episode.on(alarm(60, 300)), Effect::Page, "another one");
    }

    #[test]
    fn an_acknowledged_episode_is_open_until_it_is_over() {
        let by = Acknowledged {
            by: "ada".into(),
            at_us: 5,
            reason: "upstream knows".into(),
        };
        let mut episode = Episode::default();
        assert_eq!(episode.on(Event::Acknowledge(by.clone())), Effect::Nothing);
        episode.on(alarm(1, 10));
        assert_eq!(
            episode.on(Event::Acknowledge(by.clone())),
            Effect::Acknowledged
        );
        assert_eq!(episode.on(Event::Acknowledge(by)), Effect::Nothing);
        assert!(episode.is_open());
        assert_eq!(episode.on(Event::Rebaselined), Effect::Over);
        assert_eq!(episode.on(Event::Rebaselined), Effect::Nothing);
    }
}
