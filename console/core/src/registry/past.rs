//! The registry as it was: what had which version, and where an alias pointed.

use super::reference::{Number, Reference};
use super::{Alias, Head, Model, Registry, Said};
use crate::name::Name;

impl Alias {
    /// Where it pointed at a moment.
    pub fn at(&self, at_us: i64) -> Option<Number> {
        // Times of entries never fall; an import may bring older ones, in their own order.
        let passed = self.moves.iter().take_while(|moved| moved.at_us <= at_us);
        passed.last().and_then(|moved| moved.to)
    }
}

impl Head {
    /// What is said of it now.
    pub fn now(&self) -> &Said {
        self.said
            .last()
            .expect("it began with its naming, and nothing is taken away")
    }

    /// What was said of it at a moment; `None` before it was named.
    pub fn at(&self, at_us: i64) -> Option<&Said> {
        self.said
            .iter()
            .take_while(|said| said.at_us <= at_us)
            .last()
    }

    /// When it was first named.
    pub fn created_at_us(&self) -> i64 {
        self.said.front().map_or(0, |first| first.at_us)
    }
}

impl Model {
    /// How many of its versions were there at a moment.
    pub fn versions_at(&self, at_us: i64) -> usize {
        let later = self
            .versions
            .iter()
            .rev()
            .take_while(|version| version.at_us > at_us);
        self.versions.len() - later.count()
    }
}

impl Registry {
    /// The version that an alias pointed to at a moment.
    pub fn aliased_at(&self, model: &Name, alias: &Name, at_us: i64) -> Option<Reference> {
        let number = self.models.get(model)?.aliases.get(alias)?.at(at_us)?;
        let name = model.clone();
        Some(Reference { name, number })
    }
}
