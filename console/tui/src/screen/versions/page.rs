//! A version's page: everything that was said of it, and its lineage both ways.
//!
//! ```text
//!  Versions > fraud > 8
//!  fraud@8  challenger   registered 2h ago by bob
//!  METRICS   auc 0.971
//!  MADE FROM
//! ▌├─ transactions@3  data set, train
//!  └─ fraud@7  version, parent
//! ```

use binnacle_core::view::{Name, Reference, RegistryObject, VersionItem, facts, shown};
use ratatui::buffer::Buffer;

use crate::data::Known;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::question::registry::{Listing, Noun};
use crate::screen::models::act;
use crate::screen::registry::{self, ago, fact, heading, words};
use crate::screen::versions::{Compare, FIGURES};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, journal};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};
use crate::widget::paged;

/// Entries of the history on a version's page.
const ENTRIES: usize = 8;

/// The page.
#[derive(Debug)]
pub(super) struct VersionPage {
    version: Reference,
    selected: Spot,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// Where nothing leads on.
    Top,
    /// A thing of the lineage: which way, and the place in the tree.
    Node(bool, usize),
    /// An entry of the journal.
    Entry(u64),
}

/// All that was said of a version, a fact a line, in the words of `version show`.
pub(super) fn said(row: &VersionItem, look: &Look<'_>) -> Vec<Line> {
    let (numbered, detail) = (&row.numbered, &row.detail);
    let aliases: Vec<&str> = row.aliases.iter().map(Name::as_str).collect();
    let (standing, meaning) = registry::standing(numbered.deprecated.as_ref());
    let mut lines = vec![vec![
        piece(numbered.version.to_string(), Meaning::Title),
        piece(format!("  {}", aliases.join(" ")), Meaning::Accent),
        piece(format!("  {standing}"), meaning),
    ]];
    let by = shown(&numbered.registered_by);
    lines.push(fact(
        "registered",
        format!(
            "{} by {by}, journal {}",
            ago(numbered.at_us, look),
            numbered.sequence
        ),
    ));
    let said = facts::page(detail, FIGURES).into_iter();
    lines.extend(said.map(|(what, value)| fact(what, value)));
    let notes = detail.notes.as_str().lines();
    lines.extend(notes.map(|text| vec![piece(shown(text), Meaning::Text)]));
    lines
}

/// At which endpoints a version serves or is on its way, as far as that is known.
fn serves(version: &Reference, look: &Look<'_>) -> Option<Line> {
    let Known::Here(rows, _) = look.data.endpoints_at(look.at_us, look.here_us) else {
        return None;
    };
    let here = rows.iter().filter(|row| row.versions.contains(version));
    let names: Vec<String> = here.map(|row| row.endpoint.to_string()).collect();
    Some(fact(
        "serves at",
        match names.is_empty() {
            true => "no endpoint".to_owned(),
            false => names.join(", "),
        },
    ))
}

/// The tree of a thing both ways, onto its page; `item` makes what is selected.
pub(in crate::screen) fn lineage_on<I: PartialEq + Clone>(
    page: &mut Page<I>,
    object: &RegistryObject,
    item: impl Fn(bool, usize) -> I,
    look: &Look<'_>,
) {
    for (uses, title, none) in [
        (false, "MADE FROM", "nothing that is registered"),
        (true, "USED BY", "nothing that is registered"),
    ] {
        page.read(heading(title));
        let known = registry::lineage(object, uses, look);
        let Known::Here(tree, _) = known else {
            page.read(registry::waiting(&known, "lineage", look));
            continue;
        };
        let branches = registry::branches(tree);
        if branches.is_empty() {
            page.read([words(none)]);
        }
        for (at, (_, line)) in branches.into_iter().enumerate() {
            page.item(item(uses, at), [line]);
        }
    }
}

/// The page that a place in a tree leads to.
pub(in crate::screen) fn followed(
    object: &RegistryObject,
    (uses, at): (bool, usize),
    look: &Look<'_>,
) -> Option<Box<dyn Screen>> {
    let Known::Here(tree, _) = registry::lineage(object, uses, look) else {
        return None;
    };
    let branches = registry::branches(tree);
    registry::page_of(branches.get(at)?.0.as_ref()?)
}

/// What asks for a thing's lineage both ways, and for what was changed about it.
pub(in crate::screen) fn questions(object: &RegistryObject) -> [Question; 3] {
    let lineage = |uses| Question::Lineage {
        object: object.clone(),
        uses,
    };
    let about = Question::About {
        object: object.clone(),
    };
    [lineage(false), lineage(true), about]
}

impl VersionPage {
    pub(super) fn new(version: Reference) -> Self {
        Self {
            version,
            selected: Spot::Top,
            top: 0,
        }
    }

    fn listing(&self) -> Listing {
        Listing::of(Noun::Versions, &self.version.to_string())
    }

    fn object(&self) -> RegistryObject {
        RegistryObject::Version(self.version.clone())
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a VersionItem> {
        match paged::rows::<VersionItem>(&self.listing(), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let Some(row) = self.row(look) else {
            let known = paged::rows::<VersionItem>(&self.listing(), look);
            page.read(registry::waiting(&known, &self.version.to_string(), look));
            return page;
        };
        let mut said = said(row, look);
        let first = said.remove(0);
        page.item(Spot::Top, [first]);
        page.read(said);
        page.read(serves(&self.version, look));
        lineage_on(&mut page, &self.object(), Spot::Node, look);
        page.read(heading("HISTORY"));
        let known = registry::history(&self.object(), look);
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

    fn compare(&self, look: &Look<'_>) -> Vec<Step> {
        let parent = self.row(look).and_then(|row| row.detail.parent.clone());
        let before = self.version.number.get() - 1;
        let before = before.try_into().ok().map(|number| Reference {
            name: self.version.name.clone(),
            number,
        });
        match parent.or(before) {
            Some(other) => {
                let compare = Compare::new(other, self.version.clone());
                vec![Step::Go(Box::new(compare))]
            }
            None => {
                let why = "the first version has none before it to compare with";
                vec![Step::Say(Err(why.into()))]
            }
        }
    }
}

impl Screen for VersionPage {
    fn place(&self) -> Place {
        Place {
            view: "versions".into(),
            object: self.version.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let number = self.version.number.to_string();
        vec!["Versions".into(), self.version.name.to_string(), number]
    }

    fn note(&self, look: &Look<'_>) -> String {
        match look.at_us {
            Some(_) => "a version never changes; its aliases and standing are of now".into(),
            None => String::new(),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let endpoints = look.at_us.map_or(Inquiry::All, Inquiry::AllAt);
        let mut wanted = vec![
            Question::Listed(self.listing()),
            Question::Endpoints(endpoints),
        ];
        wanted.extend(questions(&self.object()));
        Wants {
            questions: wanted,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Open, C::Diff, C::Actions, C::Edit, C::RollBack])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_version(self.row(look), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Version(self.version.clone()))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands move or do nothing"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        if let Some(to) = page.moved(&self.selected, command, look.body.height) {
            self.selected = to;
            self.top = page.top(self.top, &self.selected, look.body.height);
            return vec![Step::Moved];
        }
        match command {
            Command::Open => {
                let opened = match page.selected(&self.selected) {
                    Some(Spot::Node(uses, at)) => followed(&self.object(), (*uses, *at), look),
                    Some(Spot::Entry(sequence)) => Some(journal::open_entry(*sequence)),
                    Some(Spot::Top) | None => None,
                };
                opened.map(Step::Go).into_iter().collect()
            }
            Command::Diff => self.compare(look),
            Command::Edit => act::note(self.row(look)),
            Command::Copy => vec![Step::Effect(Effect::Copy(self.version.to_string()))],
            _ => Vec::new(),
        }
    }

    fn related(&self, view: &str) -> Option<Place> {
        registry::related(view, self.version.name.as_str())
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle version show {}", self.version)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}
