//! What can be done with things of the registry, or why it cannot: the same plans, words and
//! refusals as the headless commands.

use binnacle_core::view::{
    AliasItem, EndpointItem, ModelItem, Name, Named, Numbered, Reference, RegistryObject,
    VersionItem, shown,
};

use crate::data::Known;
use crate::edit::{Content, Draft, Subject};
use crate::overlay::form::{Deploying, Pointing};
use crate::question::Wish;
use crate::question::registry::{Act, Change, name_of};
use crate::screen::sets::Kind;
use crate::screen::{Action, Confirm, Doing, Look, Step, Weight};

const NONE: &str = "nothing is selected that is known";

/// What is asked of the hub while it is not there, or of the past, would not be done.
fn now(doing: Result<Doing, String>, look: &Look<'_>) -> Result<Doing, String> {
    if look.at_us.is_some() {
        return Err("this is the past; esc comes back to now".into());
    }
    match look.data.is_live() {
        true => doing,
        false => Err("the hub is not connected".into()),
    }
}

fn action(key: char, words: &str, doing: Result<Doing, String>, look: &Look<'_>) -> Action {
    Action {
        key,
        words: words.into(),
        asks: now(doing, look),
    }
}

fn draft(object: RegistryObject, named: &Named) -> Box<Draft> {
    let base = Content {
        card: named.card.clone(),
        ..Content::default()
    };
    Box::new(Draft::of(Subject::Card(object), base, named.revision))
}

fn steps(draft: Option<Box<Draft>>) -> Vec<Step> {
    match draft {
        Some(draft) => vec![Step::Edit(draft)],
        None => vec![Step::Say(Err(NONE.into()))],
    }
}

/// Opens a model's card in the editor.
pub(in crate::screen) fn edit(row: Option<&ModelItem>) -> Vec<Step> {
    let object = |row: &ModelItem| RegistryObject::Model(row.named.name.clone());
    steps(row.map(|row| draft(object(row), &row.named)))
}

/// Opens the card of a data set or a feature set in the editor.
pub(in crate::screen) fn edit_set(named: Option<&Named>, kind: Kind) -> Vec<Step> {
    steps(named.map(|named| draft(set(named, kind), named)))
}

/// Opens a version's notes in the editor.
pub(in crate::screen) fn note(row: Option<&VersionItem>) -> Vec<Step> {
    steps(row.map(notes))
}

fn notes(row: &VersionItem) -> Box<Draft> {
    let base = Content {
        notes: row.detail.notes.clone(),
        ..Content::default()
    };
    let version = row.numbered.version.clone();
    // Its revision is that of its registration until something is said of it.
    Box::new(Draft::of(
        Subject::Notes(version),
        base,
        row.numbered.revision,
    ))
}

fn set(named: &Named, kind: Kind) -> RegistryObject {
    match kind {
        Kind::Data => RegistryObject::DataSet(named.name.clone()),
        Kind::Features => RegistryObject::FeatureSet(named.name.clone()),
    }
}

/// Deprecates what is in use, or restores what is deprecated.
fn standing(
    object: RegistryObject,
    deprecated: Option<&str>,
    revision: u64,
    look: &Look<'_>,
) -> [Action; 2] {
    let name = name_of(&object);
    let wish = |act| {
        let change = Change {
            act,
            reason: String::new(),
            if_revision: Some(revision),
        };
        Wish::Change(Box::new(change))
    };
    let confirm = |title: &str, standing: String, weight, act| {
        Doing::Confirm(Box::new(Confirm {
            title: format!("{title} {object}"),
            facts: vec![
                ("standing", standing),
                ("revision", revision.to_string()),
                (
                    "what",
                    "what serves goes on serving; new uses of it are refused".into(),
                ),
                ("reversible", "yes".into()),
            ],
            weight,
            wish: wish(act),
        }))
    };
    let (away, back) = match deprecated {
        None => (
            Ok(confirm(
                "Deprecate",
                "active → deprecated".into(),
                Weight::Name(name),
                Act::Deprecate(object.clone()),
            )),
            Err("it is not deprecated".to_owned()),
        ),
        Some(why) => (
            Err(format!("it is deprecated already: {}", shown(why))),
            Ok(confirm(
                "Restore",
                "deprecated → active".into(),
                Weight::Reason,
                Act::Restore(object.clone()),
            )),
        ),
    };
    [
        action('d', "deprecate…", away, look),
        action('s', "restore…", back, look),
    ]
}

/// What can be done with a model.
pub(in crate::screen) fn of_model(row: Option<&ModelItem>, look: &Look<'_>) -> Vec<Action> {
    let new = Draft::of(Subject::New, Content::default(), 0);
    let mut actions = vec![action(
        'n',
        "new model…",
        Ok(Doing::Form(Box::new(new))),
        look,
    )];
    let Some(row) = row else {
        return actions;
    };
    let named = &row.named;
    let object = RegistryObject::Model(named.name.clone());
    let card = || draft(object.clone(), named);
    actions.extend([
        action('e', "edit…", Ok(Doing::Edit(card())), look),
        action('f', "edit by form…", Ok(Doing::Form(card())), look),
        action('m', "move an alias…", pointing(row, None), look),
    ]);
    let deprecated = named.deprecated.as_deref();
    actions.extend(standing(object, deprecated, named.revision, look));
    let name = &named.name;
    let headless = format!("headless: binnacle version register --model {name} --file FILE");
    actions.push(action('r', "new version…", Err(headless), look));
    actions
}

fn pointing(row: &ModelItem, alias: Option<&Name>) -> Result<Doing, String> {
    if row.named.versions == 0 {
        return Err("it has no version yet".into());
    }
    let champion = "champion".parse().ok();
    let pointing = Pointing {
        model: row.named.name.clone(),
        alias: alias.cloned().or(champion),
        to: row.named.versions.try_into().ok(),
    };
    Ok(Doing::Alias(Box::new(pointing)))
}

/// What can be done with an alias.
pub(in crate::screen) fn of_alias(
    row: &ModelItem,
    aliases: &[AliasItem],
    alias: &Name,
    look: &Look<'_>,
) -> Vec<Action> {
    let known = aliases.iter().find(|known| known.alias == *alias);
    let taken = match known.and_then(|known| Some((known, known.version.as_ref()?))) {
        None => Err("it points nowhere".into()),
        Some((known, version)) => Ok(move_alias(
            (row.named.name.clone(), alias.clone()),
            Some(version),
            None,
            Some(known.revision),
        )),
    };
    vec![
        action(
            'p',
            &format!("point {alias}…"),
            pointing(row, Some(alias)),
            look,
        ),
        action('x', &format!("remove {alias}…"), taken, look),
    ]
}

/// The question before an alias is moved.
pub(crate) fn move_alias(
    (model, alias): (Name, Name),
    from: Option<&Reference>,
    to: Option<Reference>,
    revision: Option<u64>,
) -> Doing {
    let word = |version: Option<&Reference>| {
        version.map_or_else(|| "nowhere".to_owned(), ToString::to_string)
    };
    let known = match revision {
        Some(revision) => revision.to_string(),
        None => "not known: it is moved wherever it points by then".into(),
    };
    Doing::Confirm(Box::new(Confirm {
        title: format!("Move {alias} of {model}"),
        facts: vec![
            (
                "points to",
                format!("{} → {}", word(from), word(to.as_ref())),
            ),
            ("revision", known),
            (
                "what",
                "whoever asks for the alias from then on gets the other version".into(),
            ),
            ("reversible", "yes; every move is kept".into()),
        ],
        weight: Weight::Name(alias.to_string()),
        wish: Wish::Change(Box::new(Change {
            act: Act::MoveAlias {
                model,
                alias,
                to: to.map(|version| version.number),
            },
            reason: String::new(),
            if_revision: revision,
        })),
    }))
}

/// What can be done with a version of a model.
pub(in crate::screen) fn of_version(row: Option<&VersionItem>, look: &Look<'_>) -> Vec<Action> {
    let Some(row) = row else {
        return Vec::new();
    };
    let version = &row.numbered.version;
    let pointing = Pointing {
        model: version.name.clone(),
        alias: "champion".parse().ok(),
        to: Some(version.number),
    };
    let mut actions = vec![
        action(
            'm',
            "point an alias here…",
            Ok(Doing::Alias(Box::new(pointing))),
            look,
        ),
        action('e', "edit its notes…", Ok(Doing::Edit(notes(row))), look),
        action('D', "deploy…", Ok(deploy(version, look)), look),
    ];
    let object = RegistryObject::Version(version.clone());
    actions.extend(of_numbered(Some(&row.numbered), &object, look));
    actions
}

/// The form that brings a version to an endpoint: to the one that its model serves at, where
/// there is one alone.
fn deploy(version: &Reference, look: &Look<'_>) -> Doing {
    let endpoint = match look.data.endpoints(look.here_us) {
        Known::Here(rows, _) => {
            let is_of = |row: &&EndpointItem| {
                let mut versions = row.versions.iter();
                versions.any(|at| at.name == version.name)
            };
            let mut of_model = rows.iter().filter(is_of);
            match (of_model.next(), of_model.next()) {
                (Some(row), None) => Some(row.endpoint.clone()),
                (_, _) => None,
            }
        }
        Known::Loading | Known::Broken(_) => None,
    };
    Doing::Deploy(Box::new(Deploying {
        endpoint,
        version: Some(version.clone()),
    }))
}

/// What can be done with a version of anything.
pub(in crate::screen) fn of_numbered(
    numbered: Option<&Numbered>,
    object: &RegistryObject,
    look: &Look<'_>,
) -> Vec<Action> {
    let Some(numbered) = numbered else {
        return Vec::new();
    };
    let deprecated = numbered.deprecated.as_deref();
    standing(object.clone(), deprecated, numbered.revision, look).into()
}

/// What can be done with a data set or a feature set.
pub(in crate::screen) fn of_set(named: Option<&Named>, kind: Kind, look: &Look<'_>) -> Vec<Action> {
    let Some(named) = named else {
        return Vec::new();
    };
    let object = set(named, kind);
    let card = || draft(object.clone(), named);
    let mut actions = vec![
        action('e', "edit…", Ok(Doing::Edit(card())), look),
        action('f', "edit by form…", Ok(Doing::Form(card())), look),
    ];
    let deprecated = named.deprecated.as_deref();
    actions.extend(standing(object.clone(), deprecated, named.revision, look));
    actions
}
