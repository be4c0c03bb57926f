//! What an entry changed: before it and after it, told from the entries about the same object.
//!
//! An entry says what was decided, not what was before. For a host that is folded from the
//! earlier entries about it, as far as they are known; what is not known stays unknown.

use std::collections::BTreeMap;

use binnacle_core::view::{EntryRow, shown};

use crate::question::Question;

/// One property of an object, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Which: `membership`, `environment`, or a label's name.
    pub(super) name: String,
    /// Before; `Unknown` where the entries that say so are not at hand.
    pub(super) before: Was,
    /// After.
    pub(super) after: Was,
}

/// What a property was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Was {
    /// It was not there.
    Absent,
    /// This.
    Told(String),
    /// It cannot be told from what is known.
    Unknown,
}

impl Was {
    /// In words.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Absent => "–".into(),
            Self::Told(text) => shown(text),
            Self::Unknown => "unknown".into(),
        }
    }
}

impl Change {
    /// Whether it is another than before, as far as that is known.
    pub(super) fn is_change(&self) -> bool {
        self.before != self.after
    }

    /// In words: `rack 7 → 8`.
    pub(super) fn words(&self) -> String {
        let (before, after) = (self.before.word(), self.after.word());
        format!("{} {before} → {after}", shown(&self.name))
    }
}

/// What has to be asked to tell what was before: entries about the same host.
pub(super) fn question(entry: &EntryRow) -> Option<Question> {
    Some(Question::Journal {
        host: Some(entry.host()?.into()),
        before: Some(entry.sequence),
    })
}

/// Whether the words of an entry's kind leave open what it changed: a retirement says it all.
pub(super) fn is_about_words(entry: &EntryRow) -> bool {
    entry.kind_name() == "host_relabelled"
}

/// A host's properties, as entries tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Folded {
    membership: Option<&'static str>,
    environment: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

impl Folded {
    fn apply(&mut self, entry: &EntryRow) {
        match entry.kind_name() {
            "host_admitted" => {
                self.membership = Some("member");
                self.admit(entry);
            }
            // Only members are relabelled.
            "host_relabelled" => {
                self.membership = Some("member");
                self.admit(entry);
            }
            "host_retired" => self.membership = Some("retired"),
            "host_readmitted" => self.membership = Some("member"),
            _ => {}
        }
    }

    fn admit(&mut self, entry: &EntryRow) {
        let environment = entry.data.get("environment").and_then(|text| text.as_str());
        self.environment = environment.map(str::to_owned);
        let labels = entry
            .data
            .get("labels")
            .and_then(|labels| labels.as_object());
        self.labels = labels.map(|labels| {
            let texts = labels.iter();
            texts
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect()
        });
    }
}

/// Every property that the entry tells or that is known of before; `earlier` are the entries
/// before it about the same object, newest first.
pub(super) fn changes(entry: &EntryRow, earlier: &[EntryRow]) -> Vec<Change> {
    if entry.host().is_none() {
        return Vec::new();
    }
    let mut before = Folded::default();
    let is_first = entry.kind_name() == "host_admitted" && earlier.is_empty();
    for past in earlier
        .iter()
        .rev()
        .filter(|past| past.object == entry.object)
    {
        before.apply(past);
    }
    let mut after = before.clone();
    after.apply(entry);
    let was = |value: Option<&str>| match value {
        Some(text) => Was::Told(text.to_owned()),
        None if is_first => Was::Absent,
        None => Was::Unknown,
    };
    let mut changes = vec![
        Change {
            name: "membership".into(),
            before: was(before.membership),
            after: was(after.membership),
        },
        Change {
            name: "environment".into(),
            before: was(before.environment.as_deref()),
            after: was(after.environment.as_deref()),
        },
    ];
    let names = [&before.labels, &after.labels];
    let names = names.into_iter().flatten().flat_map(BTreeMap::keys);
    let names: std::collections::BTreeSet<&String> = names.collect();
    let label = |labels: &Option<BTreeMap<String, String>>, name: &str| match labels {
        Some(labels) => labels.get(name).cloned().map_or(Was::Absent, Was::Told),
        None => was(None),
    };
    changes.extend(names.into_iter().map(|name| Change {
        name: name.clone(),
        before: label(&before.labels, name),
        after: label(&after.labels, name),
    }));
    changes
}
