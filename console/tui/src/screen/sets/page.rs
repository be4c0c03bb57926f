//! The page of a data set or a feature set: its card, its versions, what was changed.

use std::sync::Arc;

use binnacle_core::view::{DataSetItem, FeatureSetItem, Reference, RegistryObject, SetItem, shown};
use ratatui::buffer::Buffer;

use super::Kind;
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::registry::{Listing, noun_of};
use crate::screen::models::act;
use crate::screen::registry::{self, ago, heading, words};
use crate::screen::{Action, Look, Place, Screen, Step, Wants, journal, sets};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};
use crate::widget::paged;

/// Entries of the history on the page.
const ENTRIES: usize = 12;

/// The page.
#[derive(Debug)]
pub(super) struct SetPage {
    kind: Kind,
    name: Arc<str>,
    selected: Option<Spot>,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// A version.
    Version(Reference),
    /// An entry of the journal.
    Entry(u64),
}

impl SetPage {
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.into(),
            selected: None,
            top: 0,
        }
    }

    fn itself(&self) -> Listing {
        Listing::of(self.kind.noun(), &self.name)
    }

    fn versions(&self) -> Listing {
        Listing::of(self.kind.versions(), &self.name).newest_first()
    }

    fn object(&self) -> Option<RegistryObject> {
        self.kind.object(&self.name)
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a SetItem> {
        match paged::rows::<SetItem>(&self.itself(), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn selected(&self, page: &Page<Spot>) -> Spot {
        let first = || page.moved(&Spot::Entry(0), Command::Top, 1);
        let selected = self.selected.clone().or_else(first);
        selected.unwrap_or(Spot::Entry(0))
    }

    fn version_lines(&self, look: &Look<'_>) -> Vec<(Option<Reference>, Line)> {
        let waiting = |lines: Vec<Line>| lines.into_iter().map(|line| (None, line)).collect();
        let line = |version: &Reference, at_us: i64, text: String, deprecated| {
            let (standing, meaning) = registry::standing(deprecated);
            let line = vec![
                piece(format!("{:<24}", version.to_string()), Meaning::Text),
                piece(format!("{:>8}  ", ago(at_us, look)), Meaning::Quiet),
                piece(text, Meaning::Quiet),
                piece(format!("  {standing}"), meaning),
            ];
            (Some(version.clone()), line)
        };
        match self.kind {
            Kind::Data => match paged::rows::<DataSetItem>(&self.versions(), look) {
                Known::Here(rows, _) => rows
                    .iter()
                    .map(|row| {
                        let rows = row.detail.rows.map_or_else(|| "–".into(), format::count);
                        let text = format!("{rows} rows, {} trained on it", row.trained.len());
                        let numbered = &row.numbered;
                        let deprecated = numbered.deprecated.as_ref();
                        line(&numbered.version, numbered.at_us, text, deprecated)
                    })
                    .collect(),
                known @ (Known::Loading | Known::Broken(_)) => {
                    waiting(registry::waiting(&known, "versions", look))
                }
            },
            Kind::Features => match paged::rows::<FeatureSetItem>(&self.versions(), look) {
                Known::Here(rows, _) => rows
                    .iter()
                    .map(|row| {
                        let features = row.detail.features.count();
                        let given = row.given.len();
                        let text = format!("{features} features, given to {given}");
                        let numbered = &row.numbered;
                        let deprecated = numbered.deprecated.as_ref();
                        line(&numbered.version, numbered.at_us, text, deprecated)
                    })
                    .collect(),
                known @ (Known::Loading | Known::Broken(_)) => {
                    waiting(registry::waiting(&known, "versions", look))
                }
            },
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let Some(row) = self.row(look) else {
            let known = paged::rows::<SetItem>(&self.itself(), look);
            page.read(match known {
                Known::Here(..) => {
                    vec![words(format!("{} is not registered.", shown(&self.name)))]
                }
                Known::Loading | Known::Broken(_) => registry::waiting(&known, "it", look),
            });
            return page;
        };
        page.read(registry::card(&row.named, look));
        page.read(heading("VERSIONS, newest first"));
        for (version, line) in self.version_lines(look) {
            match version {
                Some(version) => page.item(Spot::Version(version), [line]),
                None => page.read([line]),
            }
        }
        page.read(heading("HISTORY"));
        let Some(object) = self.object() else {
            return page;
        };
        let known = registry::history(&object, look);
        match known {
            Known::Here(entries, _) => {
                for entry in entries.iter().take(ENTRIES) {
                    page.item(Spot::Entry(entry.sequence), [registry::entry(entry, look)]);
                }
            }
            Known::Loading | Known::Broken(_) => {
                page.read(registry::waiting(&known, "its history", look));
            }
        }
        page
    }
}

impl Screen for SetPage {
    fn place(&self) -> Place {
        Place {
            view: self.kind.view().into(),
            object: self.name.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec![self.kind.title().into(), shown(&self.name)]
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        let about = self.object().map(|object| Question::About { object });
        let mut questions = vec![
            Question::Listed(self.itself()),
            Question::Listed(self.versions()),
        ];
        questions.extend(about);
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Open, C::Edit, C::Actions])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_set(self.row(look).map(|row| &row.named), self.kind, look)
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands move or do nothing"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        let selected = self.selected(&page);
        if let Some(to) = page.moved(&selected, command, look.body.height) {
            self.top = page.top(self.top, &to, look.body.height);
            self.selected = Some(to);
            return vec![Step::Moved];
        }
        match command {
            Command::Open => {
                let opened = page.selected(&selected).map(|spot| match spot {
                    Spot::Version(version) => sets::version(self.kind, version.clone()),
                    Spot::Entry(sequence) => journal::open_entry(*sequence),
                });
                opened.map(Step::Go).into_iter().collect()
            }
            Command::Edit => act::edit_set(self.row(look).map(|row| &row.named), self.kind),
            Command::Copy => vec![Step::Effect(Effect::Copy(self.name.to_string()))],
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected(&page), look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        let noun = self.object().map_or("dataset", |object| noun_of(&object));
        format!("binnacle {noun} list {}", self.name)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let selected = self.selected(&page);
        let top = page.top(self.top, &selected, look.body.height);
        page.draw(top, &selected, look, look.body, buf);
    }
}
