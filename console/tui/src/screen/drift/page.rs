//! One version's inputs: what moved and by whose fault, and every feature with its evidence and
//! its bins.
//!
//! ```text
//!  Drift > prod/churn > churn@14
//!  x moved   held against customers@9 (48,210 values sampled)
//!  since     26m, 31,400 requests
//!  blame     upstream: both versions and all hosts moved together
//!  MOVED                HOW                        PSI [chance]     SD     SINCE
//!  tenure               scale ×12 (months, years)  4.310 [0.0040]   3.90   26m
//!  FEATURE              01:11      03:11  EVIDENCE    BIN BY BIN            VALUES
//! ▌tenure               ▁▁▁▁▁▁▁▁▁▁▁▁▁▆██  ▓▓▓▓▓▓▓▓▓▓  ▁▁▁▁▁▁▁▁▁▁▁▁▁▂▃▅▇███  31,400
//! ```

use binnacle_core::view::{
    DriftItem, EndpointName, MovedItem, Reference, WatchedItem, rfc3339, shown,
};
use ratatui::buffer::Buffer;

use super::{METER, actions, course, meter, related, signal, state, stream, stretch};
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::drift::{Inquiry, Stretch, Watched};
use crate::screen::length::Length;
use crate::screen::registry::{self, fact, heading, waiting, words as quiet};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::line::{cut, wrapped};
use crate::widget::page::{Line, Page, piece};

/// Columns before a sentence, and one behind it.
const BEFORE: u16 = 15;
/// Columns of a feature's name.
const NAME: usize = 20;
/// Eighths of a cell, from none to all.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns up to which details stay in their own line.
pub(super) const WIDE: u16 = 100;
/// Bins of a reference, a cell each.
const BINS: usize = 20;

/// The page.
#[derive(Debug)]
pub(super) struct DriftPage {
    endpoint: EndpointName,
    version: Reference,
    selected: Spot,
    top: usize,
    length: Length,
    /// What was told last: it stays until there is more.
    known: Stretch,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// The head of the page.
    Top,
    /// A feature.
    Feature(std::sync::Arc<str>),
}

impl DriftPage {
    pub(super) fn new(endpoint: EndpointName, version: Reference) -> Self {
        Self {
            endpoint,
            version,
            selected: Spot::Top,
            top: 0,
            length: stretch::ALL,
            known: Stretch::default(),
        }
    }

    fn watched<'a>(&self, look: &Look<'a>) -> Known<'a, std::sync::Arc<Watched>> {
        let read = |stretch| {
            let of = (&self.endpoint, &self.version);
            look.data.watched(of, stretch, look.here_us)
        };
        match read(self.stretch(look)) {
            Known::Loading => read(self.known),
            known @ (Known::Here(..) | Known::Broken(_)) => known,
        }
    }

    fn stretch(&self, look: &Look<'_>) -> Stretch {
        stretch::stretch(self.length, look.at_us)
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a DriftItem> {
        match self.watched(look) {
            Known::Here(watched, _) => watched.version.as_ref(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let known = self.watched(look);
        let Known::Here(watched, _) = known else {
            page.read(waiting(&known, "its inputs", look));
            return page;
        };
        let Some(row) = &watched.version else {
            let text = format!("{} does not serve at {}", self.version, self.endpoint);
            page.read([quiet(text)]);
            return page;
        };
        page.item(Spot::Top, [head(row)]);
        page.read(facts(row, look));
        if let Some(blame) = watched.moved.iter().find_map(|moved| moved.blame.as_ref()) {
            let text = format!("{}: {}", blame.word, blame.why);
            page.read(said("blame", &text, look));
        }
        let moved = named(&watched.moved);
        if !moved.is_empty() {
            page.read(heading("MOVED"));
            page.read(moved.iter().flat_map(|moved| how(moved, look)));
        }
        page.read([
            Vec::new(),
            stretch::told(&watched.features, self.length, look),
            titles(&watched.features, look),
        ]);
        if watched.features.is_empty() {
            page.read([quiet(match &*row.why {
                "" => "nothing was counted yet".to_owned(),
                why => shown(why),
            })]);
        }
        // Requests that do not fit are told with the data, unless they are what moved.
        let is_told = |of: &&WatchedItem| {
            let most = of.streams.first();
            !of.feature.is_empty() || most.is_some_and(|most| most.meter > 0.0)
        };
        // An alarm sets the evidence to nothing: what it was about still comes first.
        let place = |feature: &&WatchedItem| {
            let place = moved.iter().position(|one| one.feature == feature.feature);
            place.unwrap_or(usize::MAX)
        };
        let mut features: Vec<&WatchedItem> = watched.features.iter().filter(is_told).collect();
        features.sort_by_key(place);
        for feature in features {
            page.item(
                Spot::Feature(feature.feature.clone()),
                [told(feature, look)],
            );
        }
        if !watched.features.is_empty() {
            page.read([Vec::new(), course::legend(look.body.width)]);
        }
        page
    }
}

/// What moved by the ranking or by itself; what stands beside it is told only where there is
/// nothing else.
fn named(moved: &[MovedItem]) -> Vec<&MovedItem> {
    let named: Vec<&MovedItem> = moved.iter().filter(|one| one.ranked || one.alone).collect();
    match named.is_empty() {
        true => moved.iter().collect(),
        false => named,
    }
}

/// A name and a sentence, on as many lines as it takes.
fn said(name: &str, text: &str, look: &Look<'_>) -> Vec<Line> {
    let room = look.body.width.saturating_sub(BEFORE);
    let text = shown(text);
    let line = |(at, part): (usize, String)| fact(if at == 0 { name } else { "" }, part);
    wrapped(&text, room).enumerate().map(line).collect()
}

fn head(row: &DriftItem) -> Line {
    let (text, meaning) = state(row);
    let mut line = vec![
        piece(format!("{text}  "), meaning),
        piece(format!("{}  ", row.version), Meaning::Title),
        piece(format!("at {}", row.endpoint), Meaning::Text),
    ];
    if let Some(set) = &row.data_set {
        let against = format!(
            "  against {set} ({} values)",
            format::count(row.sampled.into())
        );
        line.push(piece(against, Meaning::Quiet));
    }
    line
}

fn facts(row: &DriftItem, look: &Look<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut evidence = fact("evidence", format!("{}  ", meter(row.meter)));
    if let Some(most) = row.most.as_ref().filter(|_| row.meter > 0.0) {
        evidence.push(piece(format!("most in {}", stream(most)), Meaning::Text));
    }
    lines.push(evidence);
    if let Some(page) = &row.page {
        let since = format::age(look.now_us - page.since_us);
        let (is, of) = (
            if page.is_open { "moved" } else { "had moved" },
            format::count(page.observations),
        );
        lines.push(fact(
            "alarm",
            format!("{is} since {since}, told after {of} requests"),
        ));
    }
    if !row.why.is_empty() {
        lines.extend(said("remark", &row.why, look));
    }
    if let (Some(sd), Some(after)) = (row.proves_sd, row.proves_after) {
        let after = format::count(after);
        let text = format!("shifts from {sd} sd on, after some {after} values");
        lines.push(fact("proves", text));
    }
    let not_looked_at = row.skipped + row.dropped;
    let mut data = format!("{} requests", format::count(row.requests));
    if not_looked_at > 0 {
        data.push_str(&format!(", {} not looked at", format::count(not_looked_at)));
    }
    if row.unfit > 0 {
        data.push_str(&format!(", {} do not fit", format::count(row.unfit)));
    }
    if let Some(seen_us) = row.seen_us {
        data.push_str(&format!(
            ", the last {} ago",
            format::age(look.now_us - seen_us)
        ));
    }
    lines.push(fact("data", data));
    if let Some(set) = &row.predictions {
        let against = format!("held against {}", shown(&set.to_string()));
        lines.push(fact("answers", against));
    }
    lines
}

/// What moved of one feature, in words and figures.
fn how(moved: &MovedItem, look: &Look<'_>) -> Vec<Line> {
    let meaning = if moved.alone {
        Meaning::Crit
    } else {
        Meaning::Warn
    };
    let unit = match &*moved.unit {
        "" => String::new(),
        unit => format!(" ({})", shown(unit)),
    };
    let name = match &*moved.feature {
        "" => "(requests)".to_owned(),
        feature => cut(&shown(feature), NAME as u16),
    };
    let words = vec![
        piece(format!("{name:<NAME$} "), meaning),
        piece(format!("{}{unit}", shown(&moved.how)), Meaning::Text),
    ];
    let mut figures = Vec::new();
    if let (Some(psi), Some(chance)) = (moved.psi, moved.psi_chance) {
        figures.push(format!("PSI {psi:.3} [≤ {chance:.4} by chance]"));
    }
    if let Some(sd) = moved.wasserstein {
        figures.push(format!("moved {sd:.2} sd"));
    }
    let since = format::age(look.now_us - moved.since_us);
    let of = format::count(moved.observations);
    figures.push(format!("since {since}, {of} values"));
    let figures = piece(figures.join("  "), Meaning::Quiet);
    match look.body.width >= WIDE {
        true => {
            let mut line = words;
            line.push(piece("  ", Meaning::Text));
            line.push(figures);
            vec![line]
        }
        false => vec![
            words,
            vec![piece(" ".repeat(NAME + 1), Meaning::Text), figures],
        ],
    }
}

/// What stands above the features: those that moved, and then the most evidence first.
fn titles(features: &[WatchedItem], look: &Look<'_>) -> Line {
    let cells = course::cells(look.body.width);
    let axis = course::axis(features, cells);
    let bins = match look.body.width >= WIDE {
        true => format!("{:<BINS$}  ", "BIN BY BIN"),
        false => String::new(),
    };
    let text = format!(
        "{:<NAME$} {axis}  {:<METER$}  {bins}VALUES",
        "FEATURE", "EVIDENCE"
    );
    vec![piece(text, Meaning::Title)]
}

/// A feature on one line: how far it lay from its reference and when, its evidence, and its bins
/// beside the reference's, which are all alike.
fn told(feature: &WatchedItem, look: &Look<'_>) -> Line {
    let name = match &*feature.feature {
        "" => "(requests)".to_owned(),
        name => cut(&shown(name), NAME as u16),
    };
    let most = feature.streams.first();
    let part = most.map_or(0.0, |most| most.meter);
    let meaning = if part >= 1.0 {
        Meaning::Crit
    } else {
        Meaning::Text
    };
    let cells = course::cells(look.body.width);
    let mut line = vec![piece(format!("{name:<NAME$} "), Meaning::Text)];
    line.extend(course::drawn(feature.course.as_ref(), cells));
    line.push(piece(format!("  {}  ", meter(part)), meaning));
    if look.body.width >= WIDE {
        let bins = format!("{:<BINS$}  ", bins(&feature.bins));
        line.push(piece(bins, Meaning::Accent));
    }
    let mut words = vec![format::count(feature.counted)];
    if look.body.width >= WIDE
        && let (Some(psi), Some(chance)) = (feature.psi, feature.psi_chance)
    {
        words.push(format!("PSI {psi:.3} [≤ {chance:.4}]"));
    }
    let counts = [
        ("missing", feature.missing),
        ("unseen", feature.unseen),
        ("out of range", feature.out_of_range),
    ];
    for (word, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        words.push(format!("{word} {}", format::count(count)));
    }
    if look.body.width >= WIDE
        && let Some(most) = most.filter(|most| most.meter > 0.0)
        && !signal(most).is_empty()
    {
        words.push(format!("most in {}", signal(most)));
    }
    if feature.streams.iter().any(|stream| stream.by_hour) {
        words.push("by hour of the week".into());
    }
    line.push(piece(words.join("  "), Meaning::Quiet));
    line
}

/// Counts by bin of the reference as a line of bars: where nothing moved they are all alike.
fn bins(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |count: &u64| {
        let part = (*count as f64 / most as f64 * 8.0).ceil() as usize;
        BARS.get(part).copied().unwrap_or('█')
    };
    counts.iter().map(bar).collect()
}

impl Screen for DriftPage {
    fn place(&self) -> Place {
        Place {
            view: "drift".into(),
            object: format!("{}/{}", self.endpoint, self.version),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec![
            "Drift".into(),
            self.endpoint.to_string(),
            self.version.to_string(),
        ]
    }

    fn note(&self, look: &Look<'_>) -> String {
        match look.at_us {
            Some(_) => "but for what was counted, this page is of now".into(),
            None => String::new(),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let stretch = self.stretch(look);
        let inquiry = Inquiry::One(self.endpoint.clone(), self.version.clone(), stretch);
        Wants {
            questions: vec![Question::Drift(inquiry)],
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Actions, C::RollBack, C::Shorter, C::Longer])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        actions(self.row(look), look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Endpoint(self.endpoint.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        if let Some(turned) = self.length.turn(command) {
            self.learn(look);
            return turned;
        }
        let page = self.page(look);
        if let Some(to) = page.moved(&self.selected, command, look.body.height) {
            self.selected = to;
            self.top = page.top(self.top, &self.selected, look.body.height);
            return vec![Step::Moved];
        }
        if command == Command::Copy {
            let text = match &self.selected {
                Spot::Top => format!("{} {}", self.endpoint, self.version),
                Spot::Feature(name) => name.to_string(),
            };
            return vec![Step::Effect(Effect::Copy(text))];
        }
        Vec::new()
    }

    fn related(&self, view: &str) -> Option<Place> {
        let (endpoint, version) = (self.endpoint.to_string(), self.version.to_string());
        related((&endpoint, &version), view)
    }

    fn learn(&mut self, look: &Look<'_>) {
        let (of, stretch) = ((&self.endpoint, &self.version), self.stretch(look));
        if let Known::Here(..) = look.data.watched(of, stretch, look.here_us) {
            self.known = stretch;
        }
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, look: &Look<'_>) -> String {
        let (endpoint, version) = (&self.endpoint, &self.version);
        let mut text = format!("binnacle drift show {endpoint} --version {version}");
        match (self.stretch(look).span_us(look.now_us), look.at_us) {
            (None, _) => {}
            (Some(_), None) => text.push_str(&format!(" --since {}", self.length.flag())),
            (Some((from_us, to_us)), Some(_)) => {
                if !self.length.flag().is_empty() {
                    text.push_str(&format!(" --since {}", rfc3339(from_us)));
                }
                text.push_str(&format!(" --until {}", rfc3339(to_us)));
            }
        }
        text
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}
