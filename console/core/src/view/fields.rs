//! What a filter sees of the registry's rows, and what they can be sorted by.

use std::borrow::Cow;

use super::filter::{Fields, Listed, Value, contains};
use super::registry::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, ModelItem, Named, Numbered, SetItem,
    VersionItem,
};

/// Before the name of a metric.
const METRIC: &str = "metric.";
/// Before the name of a parameter.
const PARAMETER: &str = "param.";

fn text(text: &str) -> Option<Value<'_>> {
    Some(Value::Text(Cow::Borrowed(text)))
}

fn owned(text: &impl ToString) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Owned(text.to_string())))
}

fn number(number: impl Into<f64>) -> Option<Value<'static>> {
    Some(Value::Number(number.into()))
}

/// A count that may be unknown; beyond 2^53 it is rounded, which no comparison notices.
fn count(count: Option<u64>) -> Option<Value<'static>> {
    Some(count.map_or(Value::Unknown, |count| Value::Number(count as f64)))
}

fn moment(at_us: Option<i64>) -> Option<Value<'static>> {
    Some(at_us.map_or(Value::Unknown, Value::Moment))
}

fn words<'a, T: ToString>(all: impl Iterator<Item = T>) -> Option<Value<'a>> {
    Some(Value::Words(
        all.map(|one| one.to_string().into()).collect(),
    ))
}

fn standing(deprecated: Option<&str>) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Borrowed(match deprecated {
        None => "active",
        Some(_) => "deprecated",
    })))
}

impl Named {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "name" => text(self.name.as_str()),
            "owner" => text(self.card.owner.as_str()),
            "team" => text(self.card.team.as_str()),
            "tag" => words(self.card.tags.iter()),
            "description" => text(self.card.description.as_str()),
            "standing" => standing(self.deprecated.as_deref()),
            "versions" => number(self.versions),
            "revision" => count(Some(self.revision)),
            "created" => moment(Some(self.created_at_us)),
            "latest" => moment(self.latest_at_us),
            _ => None,
        }
    }

    fn has_word(&self, word: &str) -> bool {
        let tags = self.card.tags.iter().map(|tag| tag.as_str());
        let said = [&self.card.owner, &self.card.team].map(|line| line.as_str());
        tags.chain(said)
            .chain([self.name.as_str()])
            .any(|text| contains(text, word))
    }
}

impl Numbered {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "version" => owned(&self.version),
            "number" => number(self.version.number.get()),
            "standing" => standing(self.deprecated.as_deref()),
            "registered" => moment(Some(self.at_us)),
            "by" => text(&self.registered_by),
            "revision" => count(Some(self.revision)),
            _ => None,
        }
    }

    fn has_word(&self, word: &str) -> bool {
        contains(&self.version.to_string(), word) || contains(&self.registered_by, word)
    }
}

impl Fields for ModelItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "alias" => words(self.aliases.keys()),
            "objective" => words(self.named.card.objectives.iter()),
            _ => self.named.field(name),
        }
    }

    fn has_word(&self, word: &str) -> bool {
        self.named.has_word(word)
    }
}

impl Listed for ModelItem {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "owner",
        "team",
        "tag",
        "description",
        "standing",
        "versions",
        "revision",
        "created",
        "latest",
        "alias",
        "objective",
    ];
}

impl Fields for SetItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        self.named.field(name)
    }

    fn has_word(&self, word: &str) -> bool {
        self.named.has_word(word)
    }
}

impl Listed for SetItem {
    const FIELDS: &'static [&'static str] = &[
        "name",
        "owner",
        "team",
        "tag",
        "description",
        "standing",
        "versions",
        "revision",
        "created",
        "latest",
    ];
}

impl Fields for VersionItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let detail = &self.detail;
        let figure = |name: &str| {
            let mut all = detail.metrics.iter();
            let found = all.find(|(known, _)| known.as_str() == name);
            Some(found.map_or(Value::Unknown, |(_, value)| Value::Number(value)))
        };
        let setting = |name: &str| {
            let mut all = detail.parameters.iter();
            let found = all.find(|(known, _)| known.as_str() == name);
            Some(found.map_or(Value::Unknown, |(_, value)| {
                // What is compared by size is a number, whatever it was written as.
                let number = value.as_str().parse::<f64>().ok();
                let number = number.filter(|number| number.is_finite());
                number.map_or_else(|| Value::Text(Cow::Owned(value.to_string())), Value::Number)
            }))
        };
        if let Some(name) = name.strip_prefix(METRIC) {
            return figure(name);
        }
        if let Some(name) = name.strip_prefix(PARAMETER) {
            return setting(name);
        }
        match name {
            "alias" => words(self.aliases.iter()),
            "author" => text(detail.source.author.as_str()),
            "run" => text(detail.source.run.as_str()),
            "commit" => text(detail.source.commit.as_str()),
            "notes" => text(detail.notes.as_str()),
            "dataset" => words(detail.data_sets.iter().map(|one| &one.data_set)),
            "featureset" => words(detail.feature_set.iter()),
            "parent" => words(detail.parent.iter()),
            "format" => words(detail.artifact.iter().map(|files| &files.format)),
            "sha256" => words(detail.artifact.iter().map(|files| files.sha256)),
            "bytes" => count(detail.artifact.as_ref().map(|files| files.bytes)),
            _ => self.numbered.field(name),
        }
    }

    fn has_word(&self, word: &str) -> bool {
        self.numbered.has_word(word)
            || contains(self.detail.notes.as_str(), word)
            || self
                .aliases
                .iter()
                .any(|alias| contains(alias.as_str(), word))
    }
}

impl Listed for VersionItem {
    const FIELDS: &'static [&'static str] = &[
        "version",
        "number",
        "standing",
        "registered",
        "by",
        "revision",
        "alias",
        "author",
        "run",
        "commit",
        "notes",
        "dataset",
        "featureset",
        "parent",
        "format",
        "sha256",
        "bytes",
        METRIC,
        PARAMETER,
    ];
}

impl Fields for DataSetItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        let detail = &self.detail;
        match name {
            "rows" => count(detail.rows),
            "bytes" => count(detail.bytes),
            "columns" => count(Some(detail.columns.iter().count() as u64)),
            "column" => words(detail.columns.iter().map(|column| &column.name)),
            "format" => text(detail.format.as_str()),
            "location" => text(detail.location.as_str()),
            "digest" => words(detail.digest.iter()),
            "notes" => text(detail.notes.as_str()),
            "recorded" => moment(detail.recorded_at_us),
            "trained" => words(self.trained.iter().map(|trainee| &trainee.version)),
            _ => self.numbered.field(name),
        }
    }

    fn has_word(&self, word: &str) -> bool {
        self.numbered.has_word(word) || contains(self.detail.location.as_str(), word)
    }
}

impl Listed for DataSetItem {
    const FIELDS: &'static [&'static str] = &[
        "version",
        "number",
        "standing",
        "registered",
        "by",
        "revision",
        "rows",
        "bytes",
        "columns",
        "column",
        "format",
        "location",
        "digest",
        "notes",
        "recorded",
        "trained",
    ];
}

impl Fields for FeatureSetItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "features" => count(Some(self.detail.features.count() as u64)),
            "feature" => words(self.detail.features.iter().map(|feature| &feature.name)),
            "notes" => text(self.detail.notes.as_str()),
            "given" => words(self.given.iter()),
            _ => self.numbered.field(name),
        }
    }

    fn has_word(&self, word: &str) -> bool {
        self.numbered.has_word(word)
    }
}

impl Listed for FeatureSetItem {
    const FIELDS: &'static [&'static str] = &[
        "version",
        "number",
        "standing",
        "registered",
        "by",
        "revision",
        "features",
        "feature",
        "notes",
        "given",
    ];
}

impl Fields for AliasItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "model" => text(self.model.as_str()),
            "alias" => text(self.alias.as_str()),
            "version" => words(self.version.iter()),
            "since" => moment(self.moves.first().map(|last| last.at_us)),
            "moves" => count(Some(self.moves.len() as u64)),
            _ => None,
        }
    }

    fn has_word(&self, word: &str) -> bool {
        let version = self.version.as_ref().map(ToString::to_string);
        contains(self.model.as_str(), word)
            || contains(self.alias.as_str(), word)
            || version.is_some_and(|version| contains(&version, word))
    }
}

impl Listed for AliasItem {
    const FIELDS: &'static [&'static str] = &["model", "alias", "version", "since", "moves"];
}

impl Fields for EnvironmentItem {
    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "name" => text(self.name.as_str()),
            "description" => text(self.rules.description.as_str()),
            "protected" => text(if self.rules.protected { "yes" } else { "no" }),
            "hosts" => number(self.hosts),
            "revision" => count(Some(self.revision)),
            _ => None,
        }
    }

    fn has_word(&self, word: &str) -> bool {
        contains(self.name.as_str(), word) || contains(self.rules.description.as_str(), word)
    }
}

impl Listed for EnvironmentItem {
    const FIELDS: &'static [&'static str] =
        &["name", "description", "protected", "hosts", "revision"];
}
