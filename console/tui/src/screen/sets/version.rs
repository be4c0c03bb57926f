//! One version of a data set or a feature set: its columns with their spread, or its features;
//! what it was made from, and what was made from it.
//!
//! ```text
//!  Data sets > transactions > 3
//!  rows         48,210 in parquet
//!  COLUMNS          TYPE     MISSING    LEAST   MEDIAN  GREATEST  SPREAD
//!  amount           number     0.0 %     0.01    31.20     9,812  ▁▃▇█▆▃▂▁
//!  USED BY
//! ▌└─ fraud@7  version, train
//! ```

use binnacle_core::view::{
    Allowed, DataSetItem, Feature, FeatureSetItem, Numbered, ProfileItem, Reference,
    RegistryObject, SpreadItem, rfc3339, shown,
};
use ratatui::buffer::Buffer;

use super::Kind;
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::registry::{Listing, Told};
use crate::screen::models::act;
use crate::screen::registry::{self, ago, fact, heading, words};
use crate::screen::versions::figure;
use crate::screen::versions::page::{followed, lineage_on, questions};
use crate::screen::{Action, Look, Place, Screen, Step, Wants};
use crate::theme::{Letters, Meaning};
use crate::widget::line::cut;
use crate::widget::page::{Line, Page, piece};
use crate::widget::paged;

/// Shares as letters, from none to all.
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same where only ASCII may be drawn: in place of eight different blocks, which would
/// become one.
const ASCII: [char; 9] = [' ', '.', ':', '-', '=', '+', '*', '#', '@'];

/// The page.
#[derive(Debug)]
pub(super) struct SetVersionPage {
    kind: Kind,
    version: Reference,
    selected: Spot,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// A line of columns or features; the first stands for the head.
    Line(usize),
    /// A thing of the lineage.
    Node(bool, usize),
}

impl SetVersionPage {
    pub(super) fn new(kind: Kind, version: Reference) -> Self {
        Self {
            kind,
            version,
            selected: Spot::Line(0),
            top: 0,
        }
    }

    fn listing(&self) -> Listing {
        Listing::of(self.kind.versions(), &self.version.to_string())
    }

    fn object(&self) -> RegistryObject {
        self.kind.version(self.version.clone())
    }

    fn data<'a>(&self, look: &Look<'a>) -> Option<&'a DataSetItem> {
        match paged::rows::<DataSetItem>(&self.listing(), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn features<'a>(&self, look: &Look<'a>) -> Option<&'a FeatureSetItem> {
        match paged::rows::<FeatureSetItem>(&self.listing(), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn numbered<'a>(&self, look: &Look<'a>) -> Option<&'a Numbered> {
        match self.kind {
            Kind::Data => self.data(look).map(|row| &row.numbered),
            Kind::Features => self.features(look).map(|row| &row.numbered),
        }
    }

    fn profile(&self, look: &Look<'_>) -> Option<Question> {
        let digest = self.data(look)?.detail.profile?;
        Some(Question::Profile { digest })
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let Some(numbered) = self.numbered(look) else {
            let what = self.version.to_string();
            let lines = match self.kind {
                Kind::Data => {
                    let known = paged::rows::<DataSetItem>(&self.listing(), look);
                    registry::waiting(&known, &what, look)
                }
                Kind::Features => {
                    let known = paged::rows::<FeatureSetItem>(&self.listing(), look);
                    registry::waiting(&known, &what, look)
                }
            };
            page.read(lines);
            return page;
        };
        let (standing, meaning) = registry::standing(numbered.deprecated.as_ref());
        let head = vec![
            piece(numbered.version.to_string(), Meaning::Title),
            piece(format!("  {standing}"), meaning),
        ];
        page.item(Spot::Line(0), [head]);
        let by = shown(&numbered.registered_by);
        let registered = format!(
            "{} by {by}, journal {}",
            ago(numbered.at_us, look),
            numbered.sequence
        );
        page.read([fact("registered", registered)]);
        let lines = match (self.data(look), self.features(look)) {
            (Some(row), _) => {
                page.read(said(row));
                page.read(heading("COLUMNS"));
                self.columns(row, look)
            }
            (None, Some(row)) => {
                let count = format::count(row.detail.features.count() as u64);
                page.read(heading(format!("FEATURES, {count} in this order")));
                features(row)
            }
            (None, None) => Vec::new(),
        };
        for (at, line) in lines.into_iter().enumerate() {
            page.item(Spot::Line(at + 1), [line]);
        }
        lineage_on(&mut page, &self.object(), Spot::Node, look);
        page
    }

    /// The columns; with their spread where a profile says it.
    fn columns(&self, row: &DataSetItem, look: &Look<'_>) -> Vec<Line> {
        let plain = || {
            let columns = row.detail.columns.iter();
            let line = |column: &binnacle_core::view::Column| {
                let missing = if column.nullable {
                    "  may be missing"
                } else {
                    ""
                };
                let name = cut(&shown(column.name.as_str()), 24);
                let kind = shown(column.kind.as_str());
                vec![
                    piece(format!("{name:<24} "), Meaning::Text),
                    piece(format!("{kind}{missing}"), Meaning::Quiet),
                ]
            };
            columns.map(line).collect::<Vec<_>>()
        };
        let Some(question) = self.profile(look) else {
            let mut lines = plain();
            lines.push(words(
                "registered without its profile: --file reads and profiles it",
            ));
            return lines;
        };
        let known = look
            .data
            .known(&question, look.here_us, |answer| match answer.told()? {
                Told::Profile(profile) => Some(profile),
                Told::Listed(_) | Told::Lineage(_) | Told::Distances(_) => None,
            });
        match known {
            Known::Here(profile, _) => spreads(profile, look),
            Known::Loading | Known::Broken(_) => {
                let mut lines = plain();
                lines.extend(registry::waiting(&known, "its profile", look));
                lines
            }
        }
    }
}

/// What was said of a version of a data set, beside its columns.
fn said(row: &DataSetItem) -> Vec<Line> {
    let detail = &row.detail;
    let rows = detail
        .rows
        .map_or_else(|| "not counted".into(), format::count);
    let bytes = detail
        .bytes
        .map(|bytes| format!(", {}", format::bytes(bytes)));
    let mut lines = vec![
        fact("location", shown(detail.location.as_str())),
        fact(
            "rows",
            format!("{rows} in {}{}", detail.format, bytes.unwrap_or_default()),
        ),
    ];
    if let Some(span) = &detail.span {
        let (from, to) = (rfc3339(span.from_us), rfc3339(span.to_us));
        let by = shown(span.column.as_str());
        lines.push(fact("time", format!("{from} to {to}, by {by}")));
    }
    if let Some(at_us) = detail.recorded_at_us {
        lines.push(fact("recorded", rfc3339(at_us)));
    }
    if let Some(digest) = &detail.digest {
        lines.push(fact("digest", digest.to_string()));
    }
    let notes = detail.notes.as_str().lines();
    lines.extend(notes.map(|text| vec![piece(shown(text), Meaning::Text)]));
    lines
}

/// The spread of each column, as `profile show` draws it.
fn spreads(profile: &ProfileItem, look: &Look<'_>) -> Vec<Line> {
    let levels = match look.theme.letters {
        Letters::Ascii => ASCII,
        Letters::Unicode => LEVELS,
    };
    let title = format!(
        "{:<18} {:<8} {:>7} {:>9} {:>9} {:>9}  SPREAD",
        "", "TYPE", "MISSING", "LEAST", "MEDIAN", "GREATEST"
    );
    let line = |row: &SpreadItem| {
        let at = |place: usize| {
            let found = row.spread.as_ref().and_then(|all| all.get(place));
            found.map_or_else(|| "–".to_owned(), |value| figure(*value))
        };
        let missing = row.nulls.map(|share| format!("{:.1} %", share * 100.0));
        let most = row.bars.iter().copied().fold(0.0, f64::max);
        let letter = |share: &f64| {
            let part = if most > 0.0 { share / most } else { 0.0 };
            let level = (part * (levels.len() - 1) as f64).ceil() as usize;
            levels.get(level).copied().unwrap_or(' ')
        };
        vec![
            piece(
                format!("{:<18} ", cut(&shown(&row.name), 18)),
                Meaning::Text,
            ),
            piece(format!("{:<8} ", row.kind), Meaning::Quiet),
            piece(
                format!(
                    "{:>7} {:>9} {:>9} {:>9}  ",
                    missing.unwrap_or_else(|| "–".into()),
                    at(0),
                    at(1),
                    at(2)
                ),
                Meaning::Text,
            ),
            piece(
                row.bars.iter().map(letter).collect::<String>(),
                Meaning::First,
            ),
        ]
    };
    let mut lines = vec![words(title)];
    lines.extend(profile.features.iter().map(line));
    lines
}

/// The features of a vector, in their order.
fn features(row: &FeatureSetItem) -> Vec<Line> {
    let line = |(at, feature): (usize, &Feature)| {
        let allowed = match &feature.allowed {
            Allowed::Anything => String::new(),
            Allowed::Range { min, max } => {
                let bound = |bound: &Option<f64>| bound.map_or_else(|| "…".into(), figure);
                format!("{} to {}", bound(min), bound(max))
            }
            Allowed::Values(values) => {
                let values: Vec<&str> = values.iter().map(|one| one.as_str()).collect();
                format!("one of {}", shown(&values.join(", ")))
            }
        };
        let name = cut(&shown(feature.name.as_str()), 24);
        vec![
            piece(format!("{:>4} ", at + 1), Meaning::Quiet),
            piece(format!("{name:<24} "), Meaning::Text),
            piece(format!("{:<9} ", feature.kind.to_string()), Meaning::Quiet),
            piece(
                format!("{:<6} ", shown(feature.unit.as_str())),
                Meaning::Quiet,
            ),
            piece(format!("{allowed}  "), Meaning::Text),
            piece(shown(feature.description.as_str()), Meaning::Quiet),
        ]
    };
    row.detail.features.iter().enumerate().map(line).collect()
}

impl Screen for SetVersionPage {
    fn place(&self) -> Place {
        Place {
            view: self.kind.view().into(),
            object: self.version.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let Reference { name, number } = &self.version;
        vec![
            self.kind.title().into(),
            name.to_string(),
            number.to_string(),
        ]
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut wanted = vec![Question::Listed(self.listing())];
        let [sources, uses, _about] = questions(&self.object());
        wanted.extend([sources, uses]);
        wanted.extend(self.profile(look));
        Wants {
            questions: wanted,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        registry::page_offers(&[Command::Open, Command::Actions])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        act::of_numbered(self.numbered(look), &self.object(), look)
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        if let Some(to) = page.moved(&self.selected, command, look.body.height) {
            self.selected = to;
            self.top = page.top(self.top, &self.selected, look.body.height);
            return vec![Step::Moved];
        }
        if command == Command::Open
            && let Some(Spot::Node(uses, at)) = page.selected(&self.selected)
        {
            let opened = followed(&self.object(), (*uses, *at), look);
            return opened.map(Step::Go).into_iter().collect();
        }
        if command == Command::Copy {
            return vec![Step::Effect(Effect::Copy(self.version.to_string()))];
        }
        Vec::new()
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle {} show {}", self.kind.command(), self.version)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}
