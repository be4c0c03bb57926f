//! Forms that lie over a screen: a card, where an alias is to point, or what is to be deployed.

use binnacle_core::view::{
    AliasItem, EndpointName, Line, Name, Number, Reference, Spoken, Strategy, shown,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw::{list, typed};
use crate::data::Known;
use crate::edit::{Content, Draft, Subject, objectives, tags};
use crate::question::Question;
use crate::question::endpoint::{Inquiry, Want, Wanted};
use crate::question::registry::{Listing, Noun, Rows, objectives_of, tags_of};
use crate::screen::Look;
use crate::screen::models::act;
use crate::theme::Meaning;
use crate::widget::form::{Field, Form};
use crate::widget::line::cut;
use crate::widget::paged;

/// Endpoints that are named beside a form: what a line has room for.
const ENDPOINTS: usize = 6;

/// Where an alias is to point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointing {
    /// Whose alias.
    pub model: Name,
    /// Which, as it is proposed.
    pub alias: Option<Name>,
    /// Where to, as it is proposed.
    pub to: Option<Number>,
}

/// What is to be brought where, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploying {
    /// To which endpoint.
    pub endpoint: Option<EndpointName>,
    /// Which version.
    pub version: Option<Reference>,
}

/// What a form is for.
#[derive(Debug)]
pub enum Purpose {
    /// An edit.
    Card(Box<Draft>),
    /// A move of an alias.
    Alias(Name),
    /// A version that is brought to an endpoint.
    Deploy,
}

/// A form that is filled in.
#[derive(Debug)]
pub struct Filling {
    /// What it is for.
    pub purpose: Purpose,
    /// Its fields.
    pub form: Form,
}

fn line(text: &str) -> Result<(), String> {
    Line::parse(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn name(text: &str) -> Result<(), String> {
    Name::parse(text)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<(), String> {
    let text = text.rsplit('@').next().unwrap_or(text);
    let read = text.parse::<Number>();
    read.map(drop)
        .map_err(|_| "a version's number, as in 7".into())
}

fn prose(text: &str) -> Result<(), String> {
    let read = binnacle_core::view::Prose::parse(text);
    read.map(drop).map_err(|error| error.to_string())
}

fn route(text: &str) -> Result<(), String> {
    let read = text.parse::<Spoken>();
    read.map(drop).map_err(|error| error.to_string())
}

fn endpoint(text: &str) -> Result<(), String> {
    let read = text.parse::<EndpointName>();
    read.map(drop)
        .map_err(|_| "ENVIRONMENT/NAME, as in prod/fraud".into())
}

fn strategy(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let read = text.parse::<Strategy>();
    read.map(drop).map_err(|error| error.to_string())
}

fn span(text: &str) -> Result<Option<u32>, String> {
    let wrong = || "a time, as in 10m; 0s for never; empty for the usual".to_owned();
    match text.trim() {
        "" => Ok(None),
        text => {
            let read: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
            let seconds = u32::try_from(read.as_secs()).map_err(|_| wrong())?;
            Ok(Some(seconds))
        }
    }
}

impl Filling {
    /// The form of a card, as far as its draft is written.
    ///
    /// # Errors
    /// In words: the draft cannot be read; the editor can put it right.
    pub fn of_card(draft: Box<Draft>) -> Result<Self, String> {
        let (content, reason) = match draft.read() {
            Ok(edited) => (edited.content, edited.reason),
            // What has no name yet cannot be read, and is not written yet either.
            Err(_) if draft.subject == Subject::New && draft.at_us == 0 => Default::default(),
            Err(why) => return Err(why),
        };
        let card = &content.card;
        let mut fields = Vec::new();
        if draft.subject == Subject::New {
            let help = "a-z, 0-9 and inner hyphens; it never changes";
            fields.push(Field::new("name", help, &content.name, name));
        }
        fields.extend([
            Field::new("owner", "who answers for it", card.owner.as_str(), line),
            Field::new("team", "", card.team.as_str(), line),
            Field::new(
                "description",
                "what it is for",
                card.description.as_str(),
                prose,
            ),
            Field::new("tags", "eu, pci", &tags_of(card).join(", "), |text| {
                tags(text).map(drop)
            }),
        ]);
        if draft.subject.has_objectives() {
            let text = objectives_of(card).join(", ");
            let help = "p99<=250ms, errors<=0.5%";
            fields.push(Field::new("objectives", help, &text, |text| {
                objectives(text).map(drop)
            }));
        }
        fields.push(Field::new("reason", "why, for the journal", &reason, line));
        Ok(Self {
            purpose: Purpose::Card(draft),
            form: Form::new(fields),
        })
    }

    /// The form that brings a version to an endpoint.
    pub fn of_deploy(deploying: Deploying) -> Self {
        let Deploying {
            endpoint: to,
            version: what,
        } = deploying;
        let to = to.map_or_else(String::new, |to| to.to_string());
        let what = what.map_or_else(String::new, |what| what.to_string());
        let fields = vec![
            Field::new(
                "version",
                "fraud@8; or with shares: fraud@7 90%, fraud@8 10%, shadow fraud@9 5%, \
                 x-cohort=beta to fraud@8, sticky by x-user",
                &what,
                route,
            ),
            Field::new("endpoint", "where, as in prod/fraud", &to, endpoint),
            Field::new(
                "strategy",
                "empty: canary; canary:5%/10m,25%/10m rolling:25%/2m blue-green:10m all-at-once",
                "",
                strategy,
            ),
            Field::new(
                "confirm",
                "within: hosts go back by themselves unless confirmed, as in 10m",
                "",
                |text| span(text).map(drop),
            ),
            Field::new("reason", "why, for the journal", "", line),
        ];
        let mut form = Form::new(fields);
        // What is known already need not be typed.
        form.at = form.wrong().unwrap_or(2);
        Self {
            purpose: Purpose::Deploy,
            form,
        }
    }

    /// What a filled-in deploy asks for, and why.
    pub fn deploy(&self) -> Option<(Wanted, String)> {
        let Purpose::Deploy = &self.purpose else {
            return None;
        };
        let form = &self.form;
        let wanted = Wanted {
            endpoint: form.text("endpoint").trim().parse().ok()?,
            want: Want::Deploy(form.text("version").trim().into()),
            strategy: form.text("strategy").trim().into(),
            confirm_within_s: span(form.text("confirm")).ok()?,
        };
        Some((wanted, form.text("reason").trim().to_owned()))
    }

    /// The form that moves an alias.
    pub fn of_alias(pointing: Pointing) -> Self {
        let alias = pointing.alias.map(|alias| alias.to_string());
        let to = pointing.to.map(|to| to.to_string());
        let fields = vec![
            Field::new(
                "alias",
                "such as champion",
                &alias.unwrap_or_default(),
                name,
            ),
            Field::new(
                "version",
                "its number, as in 7",
                &to.unwrap_or_default(),
                number,
            ),
        ];
        Self {
            purpose: Purpose::Alias(pointing.model),
            form: Form::new(fields),
        }
    }

    /// The draft as it is filled in; what is wrong stands in it as it was typed.
    pub fn draft(&self) -> Option<Draft> {
        let Purpose::Card(draft) = &self.purpose else {
            return None;
        };
        let mut draft = Draft::clone(draft);
        draft.text = draft.typed(|name| self.form.text(name).to_owned());
        Some(draft)
    }

    /// What has to be known of what it is about.
    pub fn wants(&self) -> Option<Question> {
        match &self.purpose {
            Purpose::Card(draft) => draft.itself(),
            Purpose::Alias(model) => Some(Question::Listed(aliases(model))),
            Purpose::Deploy => Some(Question::Endpoints(Inquiry::All)),
        }
    }

    /// The question that a filled-in move of an alias leads to.
    pub fn move_alias(&self, look: &Look<'_>) -> Option<crate::screen::Doing> {
        let Purpose::Alias(model) = &self.purpose else {
            return None;
        };
        let alias: Name = self.form.text("alias").parse().ok()?;
        let number = self.form.text("version").rsplit('@').next()?.parse().ok()?;
        let to = Reference {
            name: model.clone(),
            number,
        };
        let known = look
            .data
            .known(&Question::Listed(aliases(model)), look.here_us, |answer| {
                let listed = paged::listed(answer)?;
                if let Rows::Aliases(rows) = &listed.rows {
                    return Some(rows);
                }
                None
            });
        let (from, revision) = match known {
            Known::Here(rows, _) => {
                let row: Option<&AliasItem> = rows.iter().find(|row| row.alias == alias);
                // An alias that is not there yet is at revision 0.
                let revision = row.map_or(0, |row| row.revision);
                (row.and_then(|row| row.version.clone()), Some(revision))
            }
            Known::Loading | Known::Broken(_) => (None, None),
        };
        let whose = (model.clone(), alias);
        Some(act::move_alias(whose, from.as_ref(), Some(to), revision))
    }

    /// Draws it at the lower edge of an area.
    pub fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let title = match &self.purpose {
            Purpose::Card(draft) => format!("Edit {}", draft.subject.words()),
            Purpose::Alias(model) => format!("Move an alias of {model}"),
            Purpose::Deploy => "Deploy a version".into(),
        };
        let quiet = look.style(Meaning::Quiet);
        let mut lines: Vec<_> = Vec::new();
        for (at, field) in self.form.fields.iter().enumerate() {
            let mut pieces = vec![(format!("{:<13}", field.name), quiet)];
            match &field.long {
                Some(text) => {
                    let first = text.lines().next().unwrap_or_default();
                    let more = text.lines().count();
                    let words = format!("{}  ({more} lines; ctrl-e edits)", cut(&shown(first), 30));
                    pieces.push((words, look.style(Meaning::Text)));
                }
                None => pieces.extend(typed(&field.input, at == self.form.at)),
            }
            let (text, meaning) = match &field.wrong {
                Some(wrong) => (format!("x {}", shown(wrong)), Meaning::Warn),
                None => (field.help.to_owned(), Meaning::Quiet),
            };
            pieces.push((format!("   {text}"), look.style(meaning)));
            lines.push(pieces);
        }
        let selected = self.form.at;
        if let Purpose::Card(draft) = &self.purpose
            && let Some(told) = draft.told_meanwhile(look)
        {
            lines.push(vec![(told, look.style(Meaning::Warn))]);
        }
        if let Purpose::Deploy = &self.purpose {
            lines.extend(self.where_to(look));
        }
        let is_deploy = matches!(self.purpose, Purpose::Deploy);
        let last = match (self.form.wrong(), self.form.is_last()) {
            (Some(_), _) => "what is marked x has to be put right first",
            (None, true) if is_deploy => "<enter> shows the plan; nothing happens yet",
            (None, false) if is_deploy => "<tab> next field; <enter> in the last shows the plan",
            (None, true) => "<enter> shows what it changes",
            (None, false) => "<tab> next field; <enter> in the last shows what it changes",
        };
        let mut pieces = vec![(last.to_owned(), quiet)];
        if matches!(self.purpose, Purpose::Card(_)) {
            pieces.push(("   <ctrl-e> in $EDITOR".into(), quiet));
        }
        lines.push(pieces);
        let help = match &self.purpose {
            Purpose::Card(_) => "<esc> closes and keeps a draft",
            Purpose::Alias(_) | Purpose::Deploy => "<esc> leaves everything as it is",
        };
        list(&title, help, lines.into_iter(), selected, look, area, buf);
    }
}

impl Filling {
    /// Endpoints to choose from, those of the same model first.
    fn where_to(&self, look: &Look<'_>) -> Option<Vec<(String, ratatui::style::Style)>> {
        let Known::Here(rows, _) = look.data.endpoints(look.here_us) else {
            return None;
        };
        let model = self.form.text("version").split('@').next();
        let model = model.unwrap_or_default();
        let is_other = |row: &&binnacle_core::view::EndpointItem| {
            !row.versions.iter().any(|at| at.name.as_str() == model)
        };
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by_key(is_other);
        let names: Vec<String> = rows
            .iter()
            .take(ENDPOINTS)
            .map(|row| row.endpoint.to_string())
            .collect();
        let text = match names.is_empty() {
            true => "no endpoint is named yet: binnacle endpoint create prod/NAME".to_owned(),
            false => format!("endpoints: {}", names.join("  ")),
        };
        Some(vec![(text, look.style(Meaning::Quiet))])
    }
}

fn aliases(model: &Name) -> Listing {
    Listing::of(Noun::Aliases, model.as_str())
}

/// What is there now of what a draft is about.
pub(super) fn present(draft: &Draft, look: &Look<'_>) -> Option<(Content, u64)> {
    let question = draft.itself()?;
    let listed = look.data.known(&question, look.here_us, paged::listed);
    let Known::Here(listed, _) = listed else {
        return None;
    };
    let of_card = |named: &binnacle_core::view::Named| {
        let content = Content {
            card: named.card.clone(),
            ..Content::default()
        };
        (content, named.revision)
    };
    match &listed.rows {
        Rows::Models(rows) => rows.first().map(|row| of_card(&row.named)),
        Rows::Sets(rows) => rows.first().map(|row| of_card(&row.named)),
        Rows::Versions(rows) => rows.first().map(|row| {
            let content = Content {
                notes: row.detail.notes.clone(),
                ..Content::default()
            };
            (content, row.numbered.revision)
        }),
        Rows::Aliases(_) | Rows::DataSets(_) | Rows::FeatureSets(_) => None,
    }
}
