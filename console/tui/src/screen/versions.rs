//! The versions of a model: their metrics side by side, what they were trained on.
//!
//! ```text
//!  Versions > fraud                                                             2 marked  8
//!   VERSION    AGE  ALIASES     INPUTS       auc    loss  TRAINED ON      FEATURES  STANDING
//! ▌*fraud@8     2h  challenger  x moved 26m  0.971  0.12  transactions@3  cards@2
//!  *fraud@7     9d  champion    + steady     0.968  0.13  transactions@2  cards@2
//! ```

use binnacle_core::view::facts::Figures;
use binnacle_core::view::{Name, Reference, VersionItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};
use ratatui::layout::Rect;

use self::compare::Compare;
use self::page::VersionPage;
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::question::registry::{Listing, Noun};
use crate::question::{Question, drift};
use crate::screen::inputs::Index;
use crate::screen::models::{Towards, act, drawn};
use crate::screen::registry::{self, beside, parts, words};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, inputs, models};
use crate::theme::Meaning;
use crate::widget::grid::Drawn;
use crate::widget::page::{Line, piece};
use crate::widget::paged::{Order, Paged};

mod compare;
pub(in crate::screen) mod page;
#[cfg(test)]
mod tests;

/// Metrics that have a column; the others are on the version's page.
const METRICS: usize = 8;

const ORDERS: &[Order] = &[Order {
    name: "",
    title: "VERSION",
    descending: true,
}];

/// Opens a model's versions, one version, or two beside each other: `fraud`, `fraud@3`,
/// `fraud@2..fraud@3`; without any, the models to choose from.
pub fn open(place: &Place) -> Box<dyn Screen> {
    let object = place.object.as_str();
    if let Some((left, right)) = object.split_once("..")
        && let (Ok(left), Ok(right)) = (left.parse(), right.parse())
    {
        return Box::new(Compare::new(left, right));
    }
    match (object, object.parse()) {
        ("", _) => models::list(place, Towards::Versions),
        (_, Ok(version)) => page(version),
        (model, Err(_)) => list(model),
    }
}

/// The versions of a model.
pub(super) fn list(model: &str) -> Box<dyn Screen> {
    Box::new(Versions {
        model: model.into(),
        table: Paged::new(Listing::of(Noun::Versions, model), ORDERS, ""),
        inputs: Index::default(),
    })
}

/// The page of a version.
pub(super) fn page(version: Reference) -> Box<dyn Screen> {
    Box::new(VersionPage::new(version))
}

/// A metric in few letters, exact to six figures.
pub(super) fn figure(value: f64) -> String {
    let size = value.abs();
    match value {
        _ if value == value.trunc() && size < 1e9 => format!("{value}"),
        _ if (1e-3..1e6).contains(&size) => {
            let text = format!("{value:.5}");
            text.trim_end_matches('0').to_owned()
        }
        _ => format!("{value:.3e}"),
    }
}

/// Figures in few letters.
pub(super) const FIGURES: Figures = Figures {
    metric: figure,
    bytes: format::bytes,
};

/// The list.
#[derive(Debug)]
struct Versions {
    model: String,
    table: Paged,
    inputs: Index,
}

impl Versions {
    /// The metrics that have a column: those of the versions that are seen, by name.
    fn metrics(&self, look: &Look<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for row in self.table.seen::<VersionItem>(look) {
            for (name, _) in row.detail.metrics.iter() {
                if names.len() < METRICS && !names.iter().any(|known| known == name.as_str()) {
                    names.push(name.as_str().to_owned());
                }
            }
        }
        names.sort();
        names
    }

    #[rustfmt::skip]
    fn columns(&self, look: &Look<'_>) -> Vec<Drawn<'_, VersionItem>> {
        let mut columns = vec![
            drawn("VERSION", (14, Left, 0), 10,
                |row: &VersionItem, _| (row.numbered.version.to_string(), Meaning::Text)),
            drawn("AGE", (4, Right, 5), 0,
                |row, look| (format::age(look.now_us - row.numbered.at_us), Meaning::Text)),
            drawn("ALIASES", (10, Left, 1), 8, |row, _| {
                let aliases: Vec<&str> = row.aliases.iter().map(Name::as_str).collect();
                (aliases.join(" "), Meaning::Accent)
            }),
            inputs::column(3, |row: &VersionItem| self.inputs.version(&row.numbered.version)),
        ];
        for (at, name) in self.metrics(look).into_iter().enumerate() {
            let title = shown(&name);
            columns.push(Drawn {
                title: title.clone().into(),
                width: crate::widget::line::width(&title).clamp(7, 14),
                grows: 0,
                align: Right,
                rank: u8::try_from(at + 6).unwrap_or(u8::MAX),
                cell: Box::new(move |row, _| {
                    let mut metrics = row.detail.metrics.iter();
                    match metrics.find(|(known, _)| known.as_str() == name) {
                        Some((_, value)) => (figure(value), Meaning::Text),
                        None => ("–".into(), Meaning::Unknown),
                    }
                }),
            });
        }
        columns.extend([
            drawn("TRAINED ON", (16, Left, 2), 12, |row: &VersionItem, _| {
                let sets = row.detail.data_sets.iter();
                let sets: Vec<String> = sets.map(|one| one.data_set.to_string()).collect();
                (sets.join(" "), Meaning::Quiet)
            }),
            drawn("FEATURES", (14, Left, 4), 8, |row, _| {
                let set = row.detail.feature_set.as_ref();
                (set.map(ToString::to_string).unwrap_or_default(), Meaning::Quiet)
            }),
            drawn("BY", (10, Left, 20), 6,
                |row, _| (shown(&row.numbered.registered_by), Meaning::Quiet)),
            drawn("STANDING", (12, Left, 1), u16::MAX,
                |row, _| registry::standing(row.numbered.deprecated.as_ref())),
        ]);
        columns
    }

    fn nothing(&self, known: &Known<'_, impl Sized>, look: &Look<'_>) -> Vec<Line> {
        match known {
            Known::Here(..) => vec![
                vec![piece(
                    format!("{} has no version yet. Register the first:", self.model),
                    Meaning::Text,
                )],
                words(format!(
                    "  binnacle version register --model {} --file model.onnx",
                    self.model
                )),
            ],
            Known::Loading | Known::Broken(_) => registry::waiting(known, "versions", look),
        }
    }

    /// What is told of a version beside the list.
    fn said(&self, row: &VersionItem, look: &Look<'_>) -> Vec<Line> {
        let mut lines = page::said(row, look);
        if let Some(inputs) = self.inputs.version(&row.numbered.version) {
            lines.insert(lines.len().min(1), inputs.line(look));
        }
        lines
    }

    fn compare(&self) -> Vec<Step> {
        let mut two = self.table.marked();
        if two.len() == 1
            && let Some(selected) = self.table.selected()
            && !two.contains(selected)
        {
            two.push(selected.clone());
        }
        let read = |text: &str| text.parse::<Reference>().ok();
        match &two[..] {
            [one, other] => {
                let mut both = [read(one), read(other)];
                // The older stands at the left, as time runs.
                both.sort_by_key(|one| one.as_ref().map(|one| one.number));
                let [Some(left), Some(right)] = both else {
                    return Vec::new();
                };
                vec![Step::Go(Box::new(Compare::new(left, right)))]
            }
            [..] => vec![Step::Say(Err(format!(
                "mark two versions with space to compare them; {} marked",
                two.len()
            )))],
        }
    }
}

impl Screen for Versions {
    fn place(&self) -> Place {
        let selected = self.table.selected();
        Place {
            view: "versions".into(),
            object: self.model.clone(),
            filter: String::new(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Versions".into(), shown(&self.model)]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let marked = self.table.marked().len();
        let note = registry::note(self.table.total(), "", marked);
        match look.at_us {
            Some(_) => format!("this list is of now  {note}"),
            None => note,
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = self.table.wants(&beside(look));
        questions.push(Question::Drift(drift::Inquiry::All));
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let mut offers = registry::table_offers(&[C::Open, C::Diff, C::Actions, C::RollBack]);
        offers.retain(|command| !matches!(command, C::Filter | C::Sort));
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_version(self.table.chosen(&beside(look)), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        let version = self.table.selected()?.parse();
        version.ok().map(Concern::Version)
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let inner = beside(look);
        if let Some(steps) = self.table.on::<VersionItem>(command, &inner) {
            return steps;
        }
        let selected = self.table.selected().and_then(|id| id.parse().ok());
        if command == Command::Open {
            let opened = selected.map(|version| Step::Go(page(version)));
            return opened.into_iter().collect();
        }
        if command == Command::Diff {
            return self.compare();
        }
        Vec::new()
    }

    fn related(&self, view: &str) -> Option<Place> {
        registry::related(view, &self.model)
    }

    fn learn(&mut self, look: &Look<'_>) {
        self.inputs.learn(look);
        self.table.learn::<VersionItem>(&beside(look));
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle version list --model {}", self.model)
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
        self.table.draw(self.columns(&inner), &inner, area, buf);
        if let (Some(preview), Some(row)) = (preview, self.table.rested::<VersionItem>(&inner)) {
            registry::draw_lines(&self.said(row, look), look, preview, buf);
        }
    }
}
