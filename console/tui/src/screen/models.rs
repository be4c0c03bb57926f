//! Models: the whole registry, page by page from the hub.
//!
//! ```text
//!  Models                                                           filter: owner=alice  3
//!   MODEL▴           OWNER     VERSIONS  ALIASES         INPUTS          LATEST  STANDING
//! ▌ churn            bob             14  champion @12    x moved 26m         2d
//!   fraud            alice            8  champion @7     + steady            3h
//! ```
//! From 110 columns on, what is selected is told at the right.

use binnacle_core::view::{ModelItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};
use ratatui::layout::Rect;

use self::page::ModelPage;
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::question::registry::{Listing, Noun, objectives_of};
use crate::question::{Question, drift};
use crate::screen::inputs::Index;
use crate::screen::registry::{self, ago, beside, parts};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, inputs, versions};
use crate::theme::Meaning;
use crate::widget::grid::Drawn;
use crate::widget::page::{Line, piece};
use crate::widget::paged::{Order, Paged};

pub(crate) mod act;
mod page;
#[cfg(test)]
pub(crate) mod tests;

const ORDERS: &[Order] = &[
    order("name", "MODEL", false),
    order("owner", "OWNER", false),
    order("team", "TEAM", false),
    order("versions", "VERSIONS", true),
    order("latest", "LATEST", true),
    order("changed", "REVISION", true),
];

const fn order(name: &'static str, title: &'static str, descending: bool) -> Order {
    Order {
        name,
        title,
        descending,
    }
}

/// What the list is for: where Enter leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    /// The model's own page.
    Model,
    /// Its versions.
    Versions,
}

/// Opens the list, or the page of the model that a place names.
pub fn open(place: &Place) -> Box<dyn Screen> {
    match place.object.as_str() {
        "" => list(place, Towards::Model),
        name => page(name),
    }
}

/// The page of a model.
pub(super) fn page(name: &str) -> Box<dyn Screen> {
    Box::new(ModelPage::new(name))
}

/// The list, for one of its ends.
pub(super) fn list(place: &Place, towards: Towards) -> Box<dyn Screen> {
    let mut table = Paged::new(Listing::of(Noun::Models, ""), ORDERS, &place.filter);
    if !place.selected.is_empty() {
        table.select(&place.selected);
    }
    Box::new(Models {
        table,
        towards,
        inputs: Index::default(),
    })
}

/// The list.
#[derive(Debug)]
struct Models {
    table: Paged,
    towards: Towards,
    inputs: Index,
}

fn aliases(row: &ModelItem) -> String {
    let aliases = row.aliases.iter();
    let aliases = aliases.map(|(alias, to)| format!("{alias} @{to}"));
    aliases.collect::<Vec<_>>().join(", ")
}

#[rustfmt::skip]
fn columns(inputs: &Index) -> Vec<Drawn<'_, ModelItem>> {
    vec![
        drawn("MODEL", (16, Left, 0), 16,
            |row, _| (row.named.name.to_string(), Meaning::Text)),
        drawn("OWNER", (10, Left, 1), 6,
            |row, _| (shown(row.named.card.owner.as_str()), Meaning::Quiet)),
        drawn("TEAM", (10, Left, 8), 6,
            |row, _| (shown(row.named.card.team.as_str()), Meaning::Quiet)),
        drawn("VERSIONS", (8, Right, 4), 0,
            |row, _| (format::count(row.named.versions.into()), Meaning::Text)),
        drawn("ALIASES", (14, Left, 0), 15, |row, _| (aliases(row), Meaning::Text)),
        inputs::column(2, |row: &ModelItem| inputs.model(&row.named.name)),
        drawn("OBJECTIVES", (12, Left, 6), 12,
            |row, _| (objectives_of(&row.named.card).join(" "), Meaning::Quiet)),
        drawn("LATEST", (8, Right, 3), 0, |row, look| match row.named.latest_at_us {
            Some(at_us) => (ago(at_us, look), Meaning::Text),
            None => ("–".into(), Meaning::Unknown),
        }),
        drawn("REVISION", (8, Right, 7), 0,
            |row, _| (format::count(row.named.revision), Meaning::Quiet)),
        drawn("STANDING", (12, Left, 5), u16::MAX,
            |row, _| registry::standing(row.named.deprecated.as_ref())),
    ]
}

pub(super) fn drawn<'a, R: 'a>(
    title: &'static str,
    (width, align, rank): (u16, ratatui::layout::Alignment, u8),
    grows: u16,
    cell: fn(&R, &Look<'_>) -> (String, Meaning),
) -> Drawn<'a, R> {
    Drawn {
        title: title.into(),
        width,
        grows,
        align,
        rank,
        cell: Box::new(cell),
    }
}

impl Models {
    fn nothing(&self, known: &Known<'_, impl Sized>, look: &Look<'_>) -> Vec<Line> {
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        match (known, look.at_us, self.table.search()) {
            (Known::Here(..), None, "") => vec![
                text("No model is registered yet."),
                Line::new(),
                text("Name the first here with a, then n; or from a shell:"),
                text("  binnacle model create fraud --owner ME --description \"card fraud\""),
                text("and give it a version, which gets the number 1:"),
                text("  binnacle version register --model fraud --file model.onnx"),
                text("      --metric auc=0.97 --dataset transactions@1:train"),
            ],
            (Known::Here(..), Some(_), "") => vec![text("No model was registered then.")],
            (Known::Here(..), _, _) => vec![
                text("No model matches the filter; esc shows all again."),
                registry::words("Words are looked for in name, tags, owner and team; or say"),
                registry::words("owner=, team=, tag=, alias= or standing=deprecated."),
            ],
            (Known::Loading | Known::Broken(_), ..) => registry::waiting(known, "models", look),
        }
    }

    fn preview(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let Some(row) = self.table.rested::<ModelItem>(look) else {
            return;
        };
        let name = &row.named.name;
        let mut lines = vec![vec![piece(name.to_string(), Meaning::Title)]];
        lines.extend(registry::card(&row.named, look));
        lines.extend(registry::heading("ALIASES"));
        if row.aliases.is_empty() {
            lines.push(registry::words("none points to a version yet"));
        }
        for (alias, to) in &row.aliases {
            lines.push(registry::fact(alias.as_str(), format!("{name}@{to}")));
        }
        lines.extend(registry::heading("VERSIONS, newest first"));
        let latest = page::latest(name.as_str(), look);
        lines.extend(
            page::version_lines(&latest, look)
                .into_iter()
                .map(|(_, line)| line),
        );
        registry::draw_lines(&lines, look, area, buf);
    }
}

impl Screen for Models {
    fn place(&self) -> Place {
        let selected = self.table.selected();
        let view = match self.towards {
            Towards::Model => "models",
            Towards::Versions => "versions",
        };
        Place {
            view: view.into(),
            object: String::new(),
            filter: self.table.search().into(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        match self.towards {
            Towards::Model => vec!["Models".into()],
            Towards::Versions => vec!["Versions".into(), "of which model?".into()],
        }
    }

    fn note(&self, _look: &Look<'_>) -> String {
        let marked = self.table.marked().len();
        registry::note(self.table.total(), self.table.search(), marked)
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = self.table.wants(&beside(look));
        if parts(look).1.is_some()
            && let Some(settled) = self.table.settled()
        {
            questions.push(page::latest_question(settled));
        }
        questions.push(Question::Drift(drift::Inquiry::All));
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::table_offers(&[C::Open, C::Edit, C::Actions, C::RollBack])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_model(self.table.chosen(&beside(look)), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Model(self.table.selected()?.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let inner = beside(look);
        if let Some(steps) = self.table.on::<ModelItem>(command, &inner) {
            return steps;
        }
        if command == Command::Edit {
            return act::edit(self.table.chosen(&inner));
        }
        let selected = self.table.selected();
        let opened = selected.filter(|_| command == Command::Open).map(|name| {
            Step::Go(match self.towards {
                Towards::Model => page(name),
                Towards::Versions => versions::list(name),
            })
        });
        opened.into_iter().collect()
    }

    fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.table.set_search(text);
        self.learn(look);
        Ok(())
    }

    fn filter_text(&self) -> &str {
        self.table.search()
    }

    fn filter_words(&self) -> &'static str {
        "words, owner=alice, team=, tag=, alias=champion, standing=deprecated"
    }

    fn related(&self, view: &str) -> Option<Place> {
        registry::related(view, self.table.selected()?)
    }

    fn learn(&mut self, look: &Look<'_>) {
        self.inputs.learn(look);
        self.table.learn::<ModelItem>(&beside(look));
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, look: &Look<'_>) -> String {
        let mut text = "binnacle model list".to_owned();
        if !self.table.search().is_empty() {
            text.push_str(" --filter ");
            text.push_str(&crate::question::registry::quoted(self.table.search()));
        }
        text + &registry::at(look)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let (area, preview) = parts(look);
        let inner = beside(look);
        let known = self.table.known(&inner);
        if self.table.total().unwrap_or(0) == 0 {
            let below = Rect {
                y: area.y + area.height.min(1),
                height: area.height.saturating_sub(1),
                ..area
            };
            return registry::draw_lines(&self.nothing(&known, look), look, below, buf);
        }
        self.table.draw(columns(&self.inputs), &inner, area, buf);
        if let Some(preview) = preview {
            self.preview(look, preview, buf);
        }
    }
}
