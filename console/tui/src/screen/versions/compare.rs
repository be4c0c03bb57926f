//! Two versions beside each other: what differs in metrics, parameters, signature, data,
//! features; and how far the data that they were trained on lie apart.
//!
//! ```text
//!  Versions > fraud > 7 and 8
//!                        fraud@7         fraud@8         DIFFERENCE
//!  ≠ metric auc          0.968           0.971           +0.003
//!    input x             FP32 [-1, 2]    FP32 [-1, 2]
//! ```

use binnacle_core::view::facts::{self, Beside};
use binnacle_core::view::{DataSetItem, Digest, Reference, VersionItem, shown};
use ratatui::buffer::Buffer;

use super::{FIGURES, figure};
use crate::data::Known;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::registry::{Listing, Noun, Told};
use crate::screen::registry::{self, heading, words};
use crate::screen::{Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::line::cut;
use crate::widget::page::{Line, Page, piece};
use crate::widget::paged;

/// Two versions.
#[derive(Debug)]
pub(super) struct Compare {
    left: Reference,
    right: Reference,
    at: usize,
    top: usize,
    is_whole: bool,
}

impl Compare {
    pub(super) fn new(left: Reference, right: Reference) -> Self {
        Self {
            left,
            right,
            at: 0,
            top: 0,
            is_whole: true,
        }
    }

    fn listing(version: &Reference) -> Listing {
        Listing::of(Noun::Versions, &version.to_string())
    }

    /// The data set that a version learnt from, where it is one.
    fn trained(row: &VersionItem) -> Option<Reference> {
        let mut sets = row.detail.data_sets.iter();
        let train = sets.find(|one| one.role.word() == "train");
        train.map(|one| one.data_set.clone())
    }

    fn data_set(version: &Reference) -> Listing {
        Listing::of(Noun::DataSetVersions, &version.to_string())
    }

    fn profile(version: Option<Reference>, look: &Look<'_>) -> Option<Digest> {
        match paged::rows::<DataSetItem>(&Self::data_set(&version?), look) {
            Known::Here(rows, _) => rows.first()?.detail.profile,
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn row<'a>(version: &Reference, look: &Look<'a>) -> Option<&'a VersionItem> {
        match paged::rows::<VersionItem>(&Self::listing(version), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn distances(&self, look: &Look<'_>) -> Option<Question> {
        let of = |version| Self::profile(Self::trained(Self::row(version, look)?), look);
        let (reference, other) = (of(&self.left)?, of(&self.right)?);
        (reference != other).then_some(Question::Distances { reference, other })
    }

    fn page(&self, look: &Look<'_>) -> Page<usize> {
        let mut page = Page::new();
        for version in [&self.left, &self.right] {
            if Self::row(version, look).is_none() {
                let known = paged::rows::<VersionItem>(&Self::listing(version), look);
                page.read(registry::waiting(&known, &version.to_string(), look));
            }
        }
        let rows = [&self.left, &self.right].map(|version| Self::row(version, look));
        let [Some(left), Some(right)] = rows else {
            return page;
        };
        let width = usize::from(look.body.width);
        let (name, value) = ((width / 4).clamp(14, 26), (width / 4).clamp(10, 48));
        let row = |sign: &str, cells: [&str; 4], meaning| {
            let [fact, left, right, difference] = cells;
            let fit = |text: &str, width: usize| {
                let text = cut(text, u16::try_from(width).unwrap_or(u16::MAX));
                let blanks = width.saturating_sub(crate::widget::line::width(&text).into());
                text + &" ".repeat(blanks + 1)
            };
            vec![
                piece(format!("{sign:<2}"), Meaning::Accent),
                piece(fit(fact, name), Meaning::Quiet),
                piece(fit(left, value), meaning),
                piece(fit(right, value), meaning),
                piece(difference, Meaning::Accent),
            ]
        };
        let names = [left, right].map(|row| row.numbered.version.to_string());
        let [first, second] = &names;
        page.read([row("", ["", first, second, "DIFFERENCE"], Meaning::Title)]);
        let pairs = facts::beside(&left.detail, &right.detail, FIGURES);
        let (same, differing): (Vec<_>, Vec<_>) = pairs.iter().partition(|pair| pair.is_same());
        if differing.is_empty() {
            page.read([words("Nothing that was said of them differs.")]);
        }
        let shown_same = same.iter().filter(|_| self.is_whole);
        for (at, pair) in differing.iter().chain(shown_same).enumerate() {
            let (sign, meaning) = match pair.is_same() {
                true => ("", Meaning::Quiet),
                false => ("≠", Meaning::Text),
            };
            let [left, right] = [&pair.left, &pair.right].map(|side| side.as_deref());
            let (left, right) = (left.unwrap_or("–"), right.unwrap_or("–"));
            let difference = difference(pair);
            let cells = [pair.fact.as_str(), left, right, difference.as_str()];
            page.item(at, [row(sign, cells, meaning)]);
        }
        page.read(heading("TRAINING DATA"));
        let from = pairs.len();
        for (at, line) in self.data(look).into_iter().enumerate() {
            page.item(from + at, [line]);
        }
        page
    }

    /// How far the data lie apart, feature by feature, the furthest first.
    fn data(&self, look: &Look<'_>) -> Vec<Line> {
        let sets = [&self.left, &self.right]
            .map(|version| Self::row(version, look).and_then(Self::trained));
        match &sets {
            [None, _] | [_, None] => {
                return vec![words("not said of both: nothing to compare")];
            }
            [Some(left), Some(right)] if left == right => {
                return vec![words(format!("both learnt from {left}"))];
            }
            [Some(_), Some(_)] => {}
        }
        let Some(question) = self.distances(look) else {
            return vec![words("one of them was registered without its profile")];
        };
        let known = look
            .data
            .known(&question, look.here_us, |answer| match answer.told()? {
                Told::Distances(rows) => Some(rows),
                Told::Listed(_) | Told::Lineage(_) | Told::Profile(_) => None,
            });
        let Known::Here(rows, _) = known else {
            return registry::waiting(&known, "how far the data lie apart", look);
        };
        let mut rows: Vec<_> = rows.iter().collect();
        let reach = |psi: Option<f64>| psi.unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| reach(b.psi).total_cmp(&reach(a.psi)));
        let mut lines = vec![words(format!(
            "{:<24} {:>8} {:>9} {:>6}  {:>9}",
            "FEATURE", "PSI", "NOISE TO", "KS", "MOVED, SD"
        ))];
        lines.extend(rows.into_iter().map(|row| {
            let figure = |value: Option<f64>, digits: usize| {
                value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
            };
            let text = format!(
                "{:<24} {:>8} {:>9} {:>6}  {:>9}  ",
                cut(&shown(&row.name), 24),
                figure(row.psi, 4),
                figure(row.chance, 4),
                figure(row.ks, 3),
                figure(row.moved, 2)
            );
            vec![
                piece(text, Meaning::Text),
                piece(shown(&row.says), Meaning::Warn),
            ]
        }));
        lines
    }
}

/// How far a metric went, and which way.
fn difference(row: &Beside) -> String {
    match row.figures {
        Some((was, is)) if was != is => {
            let sign = if is > was { "+" } else { "−" };
            format!("{sign}{}", figure((is - was).abs()))
        }
        Some(_) | None => String::new(),
    }
}

impl Screen for Compare {
    fn place(&self) -> Place {
        Place {
            view: "versions".into(),
            object: format!("{}..{}", self.left, self.right),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let (left, right) = (&self.left, &self.right);
        vec!["Versions".into(), format!("{left} and {right}")]
    }

    fn note(&self, _look: &Look<'_>) -> String {
        match self.is_whole {
            true => String::new(),
            false => "only what differs; z shows all".into(),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let both = [&self.left, &self.right];
        let mut questions: Vec<Question> = both
            .iter()
            .map(|version| Question::Listed(Self::listing(version)))
            .collect();
        for version in both {
            let set = Self::row(version, look).and_then(Self::trained);
            questions.extend(set.map(|set| Question::Listed(Self::data_set(&set))));
        }
        questions.extend(self.distances(look));
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        registry::page_offers(&[Command::Zoom])
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        if let Some(to) = page.moved(&self.at, command, look.body.height) {
            self.at = to;
            self.top = page.top(self.top, &self.at, look.body.height);
            return vec![Step::Moved];
        }
        if command == Command::Zoom {
            self.is_whole = !self.is_whole;
            self.learn(look);
            return vec![Step::Moved];
        }
        if command == Command::Copy {
            let names = format!("{} {}", self.left, self.right);
            return vec![Step::Effect(Effect::Copy(names))];
        }
        Vec::new()
    }

    fn related(&self, view: &str) -> Option<Place> {
        registry::related(view, self.right.name.as_str())
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        self.top = page.top(self.top, &self.at, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle version compare {} {}", self.left, self.right)
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.at, look.body.height);
        page.draw(top, &self.at, look, look.body, buf);
    }
}
