//! What the screens of the registry have in common: rows by name, words, and where one thing
//! leads to another.

use std::borrow::Cow;
use std::sync::Arc;

use binnacle_core::view::{
    Card, DataSetItem, EntryRow, FeatureSetItem, LineageItem, ModelItem, Named, RegistryObject,
    SetItem, VersionItem, shown,
};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::question::Question;
use crate::question::registry::{Noun, Rows, Told, objectives_of, tags_of};
use crate::screen::journal::row;
use crate::screen::{Look, Screen, models, sets, versions};
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::page::{Line, piece};
use crate::widget::paged::Item;

/// From here on there is room for what is selected at the right.
const PREVIEW_FROM: u16 = 110;
/// Columns before a value.
const NAMES: usize = 12;

macro_rules! item {
    ($row:ty, $variant:ident, $id:expr) => {
        impl Item for $row {
            fn id(&self) -> Cow<'_, str> {
                let id: fn(&Self) -> Cow<'_, str> = $id;
                id(self)
            }

            fn of(rows: &Rows) -> Option<&Vec<Self>> {
                if let Rows::$variant(rows) = rows {
                    return Some(rows);
                }
                None
            }
        }
    };
}

item!(ModelItem, Models, |row| row.named.name.as_str().into());
item!(SetItem, Sets, |row| row.named.name.as_str().into());
item!(VersionItem, Versions, |row| row
    .numbered
    .version
    .to_string()
    .into());
item!(DataSetItem, DataSets, |row| row
    .numbered
    .version
    .to_string()
    .into());
item!(FeatureSetItem, FeatureSets, |row| row
    .numbered
    .version
    .to_string()
    .into());

/// The table, and what is selected beside it where there is room.
pub(super) fn parts(look: &Look<'_>) -> (Rect, Option<Rect>) {
    if look.body.width < PREVIEW_FROM {
        return (look.body, None);
    }
    let width = look.body.width * 2 / 5;
    let table = Rect {
        width: look.body.width - width - 2,
        ..look.body
    };
    let preview = Rect {
        x: table.right() + 2,
        width,
        ..look.body
    };
    (table, Some(preview))
}

/// What a screen sees, drawn into the table's part.
pub(super) fn beside<'a>(look: &Look<'a>) -> Look<'a> {
    Look {
        body: parts(look).0,
        ..*look
    }
}

/// What stands right of the breadcrumb.
pub(super) fn note(total: Option<usize>, search: &str, marked: usize) -> String {
    let total = total.map_or_else(|| "…".into(), |total| format::count(total as u64));
    let mut note = match search {
        "" => total,
        search => format!("filter: {search}  {total}"),
    };
    if marked > 0 {
        note = format!("{marked} marked  {note}");
    }
    note
}

/// A name and a value, where there is one.
pub(super) fn fact(name: &str, value: impl Into<String>) -> Line {
    vec![
        piece(format!("{name:<NAMES$} "), Meaning::Quiet),
        piece(value, Meaning::Text),
    ]
}

/// A heading.
pub(super) fn heading(words: impl Into<String>) -> [Line; 2] {
    [Line::new(), vec![piece(words, Meaning::Title)]]
}

/// Words of no further meaning.
pub(super) fn words(text: impl Into<String>) -> Line {
    vec![piece(text, Meaning::Quiet)]
}

/// What one is told while there is nothing else: loading, broken, not connected.
pub(super) fn waiting(known: &Known<'_, impl Sized>, what: &str, look: &Look<'_>) -> Vec<Line> {
    match known {
        Known::Broken(why) => vec![
            vec![piece(
                format!("The hub does not tell {what}: {}", shown(why)),
                Meaning::Warn,
            )],
            words("It is asked again by itself."),
        ],
        Known::Loading | Known::Here(..) if look.data.is_live() => {
            vec![words(format!("Loading {what}…"))]
        }
        Known::Loading | Known::Here(..) => vec![words(format!(
            "Not connected to the hub yet: nothing is known of {what}."
        ))],
    }
}

/// Draws lines from the second line of an area on.
pub(super) fn draw_lines(lines: &[Line], look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    for (at, pieces) in lines.iter().enumerate() {
        let styled: Vec<_> = pieces
            .iter()
            .map(|(text, meaning)| (text.clone(), look.style(*meaning)))
            .collect();
        let place = line::row(area, u16::try_from(at).unwrap_or(u16::MAX));
        line::draw_pieces(&styled, place, buf);
    }
}

/// Whether a thing should not be used any more, and why.
pub(super) fn standing(deprecated: Option<&Arc<str>>) -> (String, Meaning) {
    match deprecated {
        Some(why) => (format!("! deprecated: {}", shown(why)), Meaning::Warn),
        None => (String::new(), Meaning::Text),
    }
}

/// How long ago.
pub(super) fn ago(at_us: i64, look: &Look<'_>) -> String {
    format!("{} ago", format::age(look.now_us - at_us))
}

/// Whose a thing is and what it is for.
pub(super) fn card(named: &Named, look: &Look<'_>) -> Vec<Line> {
    let Card {
        owner,
        team,
        description,
        ..
    } = &named.card;
    let mut lines = Vec::new();
    let (standing, meaning) = standing(named.deprecated.as_ref());
    if !standing.is_empty() {
        lines.push(vec![piece(standing, meaning)]);
    }
    let dash = |text: &str| match text {
        "" => "–".to_owned(),
        text => shown(text),
    };
    let mut owner = fact("owner", dash(owner.as_str()));
    if !team.is_empty() {
        owner.push(piece(
            format!("  team {}", shown(team.as_str())),
            Meaning::Quiet,
        ));
    }
    lines.push(owner);
    lines.push(fact("tags", dash(&tags_of(&named.card).join(" "))));
    if !named.card.objectives.is_empty() {
        lines.push(fact("objectives", objectives_of(&named.card).join("  ")));
    }
    lines.push(fact(
        "created",
        format!(
            "{}  revision {}",
            ago(named.created_at_us, look),
            named.revision
        ),
    ));
    let prose = description.as_str().lines();
    lines.extend(prose.map(|text| vec![piece(shown(text), Meaning::Text)]));
    lines
}

/// The entries about a thing, newest first.
pub(super) fn history<'a>(object: &RegistryObject, look: &Look<'a>) -> Known<'a, Arc<[EntryRow]>> {
    let question = Question::About {
        object: object.clone(),
    };
    look.data
        .known(&question, look.here_us, crate::screen::journal::page_of)
}

/// An entry about a thing on one line.
pub(super) fn entry(entry: &EntryRow, look: &Look<'_>) -> Line {
    let mut line = vec![
        piece(
            format!("{:<13}", row::told_at(entry.at_us, look.now_us)),
            Meaning::Quiet,
        ),
        piece(format!("{}  ", shown(&entry.caller)), Meaning::Text),
        piece(shown(&entry.kind_name().replace('_', " ")), Meaning::Text),
    ];
    if let Some((_, version)) = entry.object.split_once('@') {
        line.push(piece(format!(" @{}", shown(version)), Meaning::Text));
    }
    if let Some(moved) = entry.moved() {
        line.push(piece(format!("  {moved}"), Meaning::Text));
    }
    if !entry.why.is_empty() {
        line.push(piece(format!("  {}", shown(&entry.why)), Meaning::Quiet));
    }
    line
}

/// The tree of what something was made from, or of what was made from it.
pub(super) fn lineage<'a>(
    object: &RegistryObject,
    uses: bool,
    look: &Look<'a>,
) -> Known<'a, Arc<LineageItem>> {
    let object = object.clone();
    let question = Question::Lineage { object, uses };
    look.data
        .known(&question, look.here_us, |answer| match answer.told()? {
            Told::Lineage(tree) => Some(tree),
            Told::Listed(_) | Told::Profile(_) | Told::Distances(_) => None,
        })
}

/// What follows a thing's name in a tree: leads to its page.
pub(super) fn object_of(node: &LineageItem) -> Option<RegistryObject> {
    let name = &*node.name;
    Some(match (&*node.kind, name.contains('@')) {
        ("model", _) => RegistryObject::Model(name.parse().ok()?),
        ("version", _) => RegistryObject::Version(name.parse().ok()?),
        ("data set", true) => RegistryObject::DataSetVersion(name.parse().ok()?),
        ("data set", false) => RegistryObject::DataSet(name.parse().ok()?),
        ("feature set", true) => RegistryObject::FeatureSetVersion(name.parse().ok()?),
        ("feature set", false) => RegistryObject::FeatureSet(name.parse().ok()?),
        (_, _) => return None,
    })
}

/// The page of a thing.
pub(super) fn page_of(object: &RegistryObject) -> Option<Box<dyn Screen>> {
    Some(match object {
        RegistryObject::Model(name) => models::page(name.as_str()),
        RegistryObject::Version(version) => versions::page(version.clone()),
        RegistryObject::DataSet(name) => sets::page(sets::Kind::Data, name.as_str()),
        RegistryObject::FeatureSet(name) => sets::page(sets::Kind::Features, name.as_str()),
        RegistryObject::DataSetVersion(version) => sets::version(sets::Kind::Data, version.clone()),
        RegistryObject::FeatureSetVersion(version) => {
            sets::version(sets::Kind::Features, version.clone())
        }
        RegistryObject::Environment(_) => return None,
    })
}

/// The nodes below a tree's root, each with what leads to it, as a person draws trees.
pub(super) fn branches(tree: &LineageItem) -> Vec<(Option<RegistryObject>, Line)> {
    let mut lines = Vec::new();
    for (at, child) in tree.below.iter().enumerate() {
        branch(child, "", at + 1 == tree.below.len(), &mut lines);
    }
    lines
}

fn branch(
    node: &LineageItem,
    lead: &str,
    is_last: bool,
    lines: &mut Vec<(Option<RegistryObject>, Line)>,
) {
    let (turn, below) = match is_last {
        true => ("└─ ", "   "),
        false => ("├─ ", "│  "),
    };
    let mut line = vec![
        piece(format!("{lead}{turn}"), Meaning::Quiet),
        piece(shown(&node.name), Meaning::Text),
        piece(format!("  {}", shown(&node.kind)), Meaning::Quiet),
    ];
    if !node.relation.is_empty() {
        line.push(piece(
            format!(", {}", shown(&node.relation)),
            Meaning::Quiet,
        ));
    }
    if node.deprecated {
        line.push(piece("  ! deprecated", Meaning::Warn));
    }
    if node.cut {
        line.push(piece("  … enter shows on", Meaning::Quiet));
    }
    lines.push((object_of(node), line));
    let lead = format!("{lead}{below}");
    for (at, child) in node.below.iter().enumerate() {
        branch(child, &lead, at + 1 == node.below.len(), lines);
    }
}

/// Where another view belongs to a thing: `g v` on a model leads to its versions.
pub(super) fn related(view: &str, model: &str) -> Option<crate::screen::Place> {
    matches!(view, "models" | "versions" | "latency").then(|| crate::screen::Place {
        view: view.into(),
        object: model.into(),
        ..crate::screen::Place::default()
    })
}

/// The commands that every table of the registry has.
pub(super) fn table_offers(first: &[Command]) -> Vec<Command> {
    use Command as C;
    let mut offers = first.to_vec();
    offers.extend([
        C::Filter,
        C::Palette,
        C::Help,
        C::Sort,
        C::SortReverse,
        C::Down,
        C::Up,
        C::Top,
        C::Bottom,
        C::PageDown,
        C::PageUp,
        C::Mark,
        C::Unmark,
        C::Copy,
    ]);
    offers
}

/// The commands that every page of the registry has.
pub(super) fn page_offers(first: &[Command]) -> Vec<Command> {
    use Command as C;
    let mut offers = first.to_vec();
    offers.extend([
        C::Palette,
        C::Help,
        C::Copy,
        C::Down,
        C::Up,
        C::Top,
        C::Bottom,
        C::PageDown,
        C::PageUp,
    ]);
    offers
}

/// The table that lists things of a kind.
pub(crate) fn noun(object: &RegistryObject) -> Option<Noun> {
    Some(match object {
        RegistryObject::Model(_) => Noun::Models,
        RegistryObject::Version(_) => Noun::Versions,
        RegistryObject::DataSet(_) => Noun::DataSets,
        RegistryObject::DataSetVersion(_) => Noun::DataSetVersions,
        RegistryObject::FeatureSet(_) => Noun::FeatureSets,
        RegistryObject::FeatureSetVersion(_) => Noun::FeatureSetVersions,
        RegistryObject::Environment(_) => return None,
    })
}

/// The moment of the past that is shown, as a command takes it.
pub(super) fn at(look: &Look<'_>) -> String {
    match look.at_us {
        Some(at_us) => format!(" --at {}", binnacle_core::view::rfc3339(at_us)),
        None => String::new(),
    }
}
