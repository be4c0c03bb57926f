//! Which endpoint a rollback is of, where what is selected is not one itself.
//!
//! ```text
//!  Roll back which endpoint?  enter goes on to its plan; esc closes
//!  ▌ prod/fraud      fraud@8 100%      3/3 warm · 0 s
//!    prod/pay        fraud@8 100%      2/3 warm, 1 cold ~4.0 s
//! ```

use binnacle_core::view::{EndpointItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw::{Pieces, list};
use crate::data::Known;
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::screen::rollouts::{is_served_by, words};
use crate::screen::{Concern, Look};
use crate::theme::Meaning;

/// A choice among endpoints.
#[derive(Debug)]
pub struct Choosing {
    /// What was selected; absent: nothing that has to do with endpoints.
    pub concern: Option<Concern>,
    /// Which is selected now.
    pub at: usize,
}

impl Choosing {
    /// What has to be known for it.
    pub fn wants(&self) -> Question {
        Question::Endpoints(Inquiry::All)
    }

    /// The endpoints that it may be about, those with something under way first.
    ///
    /// # Errors
    /// In words: why there is none yet, or at all.
    pub fn found<'a>(&self, look: &Look<'a>) -> Result<Vec<&'a EndpointItem>, String> {
        let rows: &'a [EndpointItem] = match look.data.endpoints(look.here_us) {
            Known::Here(rows, _) => rows,
            Known::Broken(why) => return Err(format!("the hub does not tell endpoints: {why}")),
            Known::Loading if look.data.is_live() => return Err("loading endpoints…".into()),
            Known::Loading => return Err(nobody()),
        };
        let mut found: Vec<&EndpointItem> =
            rows.iter().filter(|row| self.is_about(row, look)).collect();
        if let (true, Some(Concern::Version(version))) = (found.is_empty(), &self.concern) {
            // It serves nowhere by now: its model may.
            let name = &version.name;
            let is_of = |row: &&EndpointItem| row.versions.iter().any(|at| at.name == *name);
            found = rows.iter().filter(is_of).collect();
        }
        found.sort_by_key(|row| row.rollout.is_none());
        match (found.is_empty(), &self.concern) {
            (false, _) => Ok(found),
            (true, None) => Err("there is no endpoint yet: 5 says how to name one".into()),
            (true, Some(concern)) => Err(match concern {
                Concern::Endpoint(name) => format!("{name} is not known any more"),
                Concern::Model(name) => format!("no endpoint serves a version of {}", shown(name)),
                Concern::Version(version) => format!("no endpoint serves {version}"),
                Concern::Host(host) => format!("no endpoint is served by {}", shown(host)),
            }),
        }
    }

    fn is_about(&self, row: &EndpointItem, look: &Look<'_>) -> bool {
        match &self.concern {
            None => true,
            Some(Concern::Endpoint(name)) => row.endpoint == *name,
            Some(Concern::Model(name)) => row.versions.iter().any(|at| at.name.as_str() == &**name),
            Some(Concern::Version(version)) => row.versions.contains(version),
            Some(Concern::Host(host)) => look.fleet.host(host).is_some_and(|line| {
                is_served_by(row, &line.glance.environment, &line.glance.labels)
            }),
        }
    }

    /// Draws it at the lower edge of an area.
    pub fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let found = self.found(look);
        let (lines, help): (Vec<Pieces>, _) = match &found {
            Ok(rows) => {
                let line = |row: &&EndpointItem| {
                    let (ready, meaning) = words::readiness(row.rollback.as_ref());
                    let mut pieces = vec![
                        (format!("{:<20}", row.endpoint), look.style(Meaning::Text)),
                        (
                            format!("{:<24}  ", shown(&row.route)),
                            look.style(Meaning::Quiet),
                        ),
                        (format!("{ready}  "), look.style(meaning)),
                    ];
                    if let Some(rollout) = &row.rollout {
                        let (text, meaning) = words::underway(rollout);
                        pieces.push((text, look.style(meaning)));
                    }
                    pieces
                };
                let lines = rows.iter().map(line).collect();
                (lines, "enter goes on to its plan; esc closes")
            }
            Err(why) => (
                vec![vec![(shown(why), look.style(Meaning::Warn))]],
                "esc closes",
            ),
        };
        let title = "Roll back which endpoint?";
        list(title, help, lines.into_iter(), self.at, look, area, buf);
    }
}

/// What is said where there is no hub to make a plan.
pub(super) fn nobody() -> String {
    "the hub is not connected; on a host itself `binnacle-agent rollback NAME --reason …` goes \
     back without it"
        .into()
}
