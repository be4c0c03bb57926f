//! A model's page: its card, its aliases with their moves, its versions, what was changed.
//!
//! ```text
//!  Models > fraud
//!  owner        alice  team risk
//!  ALIASES
//! ▌champion     fraud@7      since 3h, 4 moves
//!  VERSIONS, newest first
//!  fraud@8      2h ago   auc 0.971  loss 0.12
//! ```

use std::sync::Arc;

use binnacle_core::view::{
    AliasItem, EntryRow, ModelItem, Name, Reference, RegistryObject, VersionItem, shown,
};
use ratatui::buffer::Buffer;

use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::question::registry::{Listing, Noun, Rows};
use crate::screen::models::act;
use crate::screen::registry::{self, ago, heading, words};
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, journal, versions};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};
use crate::widget::paged;

/// Versions on a model's page: the rest is a key away.
const VERSIONS: usize = 12;
/// Moves of one alias, and entries of the history, on a model's page.
const MOVES: usize = 4;
const ENTRIES: usize = 12;
/// Metrics that stand beside a version.
const METRICS: usize = 4;

/// The page.
#[derive(Debug)]
pub(super) struct ModelPage {
    name: Arc<str>,
    selected: Spot,
    top: usize,
}

/// What can be selected.
#[derive(Clone, Debug, PartialEq)]
enum Spot {
    /// An alias.
    Alias(Name),
    /// A version.
    Version(Reference),
    /// All versions.
    Versions,
    /// An entry of the journal.
    Entry(u64),
}

/// What asks for the newest versions of a model.
pub(super) fn latest_question(model: &str) -> Question {
    Question::Listed(Listing::of(Noun::Versions, model).newest_first())
}

/// The newest versions of a model; of the past those that there were.
pub(super) fn latest<'a>(model: &str, look: &Look<'a>) -> Known<'a, Vec<VersionItem>> {
    paged::rows(&Listing::of(Noun::Versions, model).newest_first(), look)
}

/// The newest versions on a line each, with what they lead to.
pub(super) fn version_lines(
    known: &Known<'_, Vec<VersionItem>>,
    look: &Look<'_>,
) -> Vec<(Option<Reference>, Line)> {
    let Known::Here(rows, _) = known else {
        let waiting = registry::waiting(known, "versions", look);
        return waiting.into_iter().map(|line| (None, line)).collect();
    };
    let then = look.at_us.unwrap_or(i64::MAX);
    let there = rows.iter().filter(|row| row.numbered.at_us <= then);
    let mut lines: Vec<_> = there
        .take(VERSIONS)
        .map(|row| {
            let version = row.numbered.version.clone();
            (Some(version), version_line(row, look))
        })
        .collect();
    if lines.is_empty() {
        let none = "none yet: binnacle version register --model NAME --file FILE";
        lines.push((None, words(none)));
    }
    lines
}

fn version_line(row: &VersionItem, look: &Look<'_>) -> Line {
    let numbered = &row.numbered;
    let mut line = vec![
        piece(
            format!("{:<14}", numbered.version.to_string()),
            Meaning::Text,
        ),
        piece(
            format!("{:>8}  ", ago(numbered.at_us, look)),
            Meaning::Quiet,
        ),
    ];
    let aliases = row.aliases.iter().map(Name::as_str);
    let aliases: Vec<&str> = aliases.filter(|_| look.at_us.is_none()).collect();
    if !aliases.is_empty() {
        line.push(piece(format!("{}  ", aliases.join(" ")), Meaning::Accent));
    }
    for (name, value) in row.detail.metrics.iter().take(METRICS) {
        line.push(piece(format!("{} ", shown(name.as_str())), Meaning::Quiet));
        line.push(piece(
            format!("{}  ", versions::figure(value)),
            Meaning::Text,
        ));
    }
    let (standing, meaning) = registry::standing(numbered.deprecated.as_ref());
    line.push(piece(standing, meaning));
    line
}

impl ModelPage {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            selected: Spot::Versions,
            top: 0,
        }
    }

    fn itself(&self, look: &Look<'_>) -> Listing {
        Listing::of(Noun::Models, &self.name).at(look.at_us)
    }

    fn aliases(&self, look: &Look<'_>) -> Listing {
        Listing::of(Noun::Aliases, &self.name).at(look.at_us)
    }

    fn object(&self) -> Option<RegistryObject> {
        self.name.parse().ok().map(RegistryObject::Model)
    }

    fn row<'a>(&self, look: &Look<'a>) -> Option<&'a ModelItem> {
        match paged::rows::<ModelItem>(&self.itself(look), look) {
            Known::Here(rows, _) => rows.first(),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn alias_rows<'a>(&self, look: &Look<'a>) -> Known<'a, Vec<AliasItem>> {
        let question = Question::Listed(self.aliases(look));
        look.data.known(&question, look.here_us, |answer| {
            let listed = paged::listed(answer)?;
            if let Rows::Aliases(rows) = &listed.rows {
                return Some(rows);
            }
            None
        })
    }

    fn page(&self, look: &Look<'_>) -> Page<Spot> {
        let mut page = Page::new();
        let known = paged::rows::<ModelItem>(&self.itself(look), look);
        let Some(row) = self.row(look) else {
            page.read(match known {
                Known::Here(..) if look.at_us.is_some() => {
                    vec![words(format!(
                        "{} was not registered then.",
                        shown(&self.name)
                    ))]
                }
                Known::Here(..) => vec![
                    words(format!("Model {} is not registered.", shown(&self.name))),
                    words("3 shows those that are; a, then n names a new one."),
                ],
                Known::Loading | Known::Broken(_) => registry::waiting(&known, "it", look),
            });
            return page;
        };
        page.read(registry::card(&row.named, look));
        page.read(heading("ALIASES"));
        self.aliases_on(&mut page, look);
        page.read(heading("VERSIONS, newest first"));
        let latest = latest(&self.name, look);
        for (version, line) in version_lines(&latest, look) {
            match version {
                Some(version) => page.item(Spot::Version(version), [line]),
                None => page.read([line]),
            }
        }
        if row.named.versions as usize > VERSIONS {
            let all = format::count(row.named.versions.into());
            page.item(Spot::Versions, [words(format!("all {all} versions"))]);
        }
        page.read(heading("HISTORY"));
        self.history_on(&mut page, look);
        page
    }

    fn aliases_on(&self, page: &mut Page<Spot>, look: &Look<'_>) {
        let known = self.alias_rows(look);
        let Known::Here(rows, _) = known else {
            return page.read(registry::waiting(&known, "aliases", look));
        };
        if rows.is_empty() {
            page.read([words("none: a, then m lets champion point to a version")]);
        }
        for row in rows {
            let to = row.version.as_ref();
            let to = to.map_or_else(|| "taken away".to_owned(), ToString::to_string);
            let since = row.moves.first().map(|last| ago(last.at_us, look));
            let mut lines = vec![vec![
                piece(format!("{:<12} ", row.alias.as_str()), Meaning::Accent),
                piece(format!("{to:<14}"), Meaning::Text),
                piece(format!("set {}", since.unwrap_or_default()), Meaning::Quiet),
            ]];
            for earlier in row.moves.iter().skip(1).take(MOVES) {
                let to = earlier.version.as_ref();
                let to = to.map_or_else(|| "taken away".to_owned(), ToString::to_string);
                let at = journal::row::told_at(earlier.at_us, look.now_us);
                lines.push(words(format!("{:<13}{to:<14}{at}", "")));
            }
            let more = row.moves.len().saturating_sub(MOVES + 1);
            if more > 0 {
                lines.push(words(format!("{:<13}and {more} earlier moves", "")));
            }
            page.item(Spot::Alias(row.alias.clone()), lines);
        }
    }

    fn history_on(&self, page: &mut Page<Spot>, look: &Look<'_>) {
        let Some(object) = self.object() else {
            return;
        };
        let known = registry::history(&object, look);
        let Known::Here(entries, _) = known else {
            return page.read(registry::waiting(&known, "its history", look));
        };
        let then = look.at_us.unwrap_or(i64::MAX);
        let until_then = |entry: &&EntryRow| entry.at_us <= then;
        for entry in entries.iter().filter(until_then).take(ENTRIES) {
            page.item(Spot::Entry(entry.sequence), [registry::entry(entry, look)]);
        }
    }
}

impl Screen for ModelPage {
    fn place(&self) -> Place {
        Place {
            view: "models".into(),
            object: self.name.to_string(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Models".into(), shown(&self.name)]
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let about = self.object().map(|object| Question::About { object });
        let mut questions = vec![
            Question::Listed(self.itself(look)),
            Question::Listed(self.aliases(look)),
            latest_question(&self.name),
        ];
        questions.extend(about);
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::page_offers(&[C::Open, C::Edit, C::Actions, C::RollBack])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        let page = self.page(look);
        let mut actions = act::of_model(self.row(look), look);
        if let (Some(row), Some(Spot::Alias(alias))) =
            (self.row(look), page.selected(&self.selected))
            && let Known::Here(rows, _) = self.alias_rows(look)
        {
            actions.extend(act::of_alias(row, rows, alias, look));
        }
        actions
    }

    fn concern(&self, look: &Look<'_>) -> Option<Concern> {
        Some(match self.page(look).selected(&self.selected) {
            Some(Spot::Version(version)) => Concern::Version(version.clone()),
            Some(Spot::Alias(_) | Spot::Versions | Spot::Entry(_)) | None => {
                Concern::Model(self.name.clone())
            }
        })
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
                    Some(Spot::Alias(alias)) => {
                        let to = self.row(look).and_then(|row| row.aliases.get(alias));
                        let name = self.name.parse().ok();
                        let to = to.zip(name);
                        to.map(|(number, name)| {
                            let number = *number;
                            versions::page(Reference { name, number })
                        })
                    }
                    Some(Spot::Version(version)) => Some(versions::page(version.clone())),
                    Some(Spot::Versions) => Some(versions::list(&self.name)),
                    Some(Spot::Entry(sequence)) => Some(journal::open_entry(*sequence)),
                    None => None,
                };
                opened.map(Step::Go).into_iter().collect()
            }
            Command::Edit => act::edit(self.row(look)),
            Command::Copy => vec![Step::Effect(Effect::Copy(self.name.to_string()))],
            _ => Vec::new(),
        }
    }

    fn related(&self, view: &str) -> Option<Place> {
        registry::related(view, &self.name)
    }

    fn learn(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        // What is first is selected until somebody moves.
        if self.top == 0
            && self.selected == Spot::Versions
            && let Some(first) = page.moved(&self.selected, Command::Top, 1)
            && page.selected(&self.selected) != Some(&Spot::Versions)
        {
            self.selected = first;
        }
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, look: &Look<'_>) -> String {
        format!("binnacle model show {}{}", self.name, registry::at(look))
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}
