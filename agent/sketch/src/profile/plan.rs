//! Which columns of a table become which features, and how many of its rows are sampled for them:
//! settled from the names and types of all columns, so that a table that is read some columns at a
//! time has the profile that it has at once.

use std::collections::BTreeSet;

use super::derived::Told;
use super::sample::{CELLS, Reservoir};
use super::{FEATURE_NAME_BYTES, FEATURES, Field, Kind};

/// A column that is to come.
#[derive(Clone, Debug)]
pub enum Given {
    /// A feature; free text among them is told in numbers, where there is room.
    Feature(Field),
    /// Images or embeddings under this name, which are told in numbers and are no feature.
    Tensor(String),
}

/// What is settled of a table.
#[derive(Clone, Debug)]
pub struct Plan {
    features: usize,
    /// Numbers that are told of a row beside its features.
    told: usize,
    /// Texts that are told in numbers.
    texts: BTreeSet<String>,
}

/// Why a table cannot have a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplanned {
    /// Its columns, and the numbers of its tensors, are more than [`FEATURES`].
    TooMany,
    /// A name is longer than [`FEATURE_NAME_BYTES`], with that of a number behind it if it is
    /// a tensor's.
    LongName(String),
    /// Two features of one name.
    Twice(String),
}

impl Given {
    /// The column's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Feature(field) => &field.name,
            Self::Tensor(name) => name,
        }
    }
}

impl Plan {
    /// Of all columns of a table.
    ///
    /// Whether a text is free or a category is known only when it was read, so room is left for the
    /// numbers of each. A text is told in none where there is no more room among [`FEATURES`],
    /// where a name would be too long, or where one is that of another column.
    pub fn of(columns: &[Given]) -> Result<Self, Unplanned> {
        let mut names = BTreeSet::new();
        let (mut features, mut told) = (0, 0);
        for column in columns {
            let own = match column {
                Given::Feature(field) => vec![field.name.clone()],
                Given::Tensor(name) => {
                    let own = Told::Tensor.names(name);
                    own.ok_or_else(|| Unplanned::LongName(name.clone()))?
                }
            };
            match column {
                Given::Feature(_) => features += own.len(),
                Given::Tensor(_) => told += own.len(),
            }
            for name in own {
                if name.len() > FEATURE_NAME_BYTES {
                    return Err(Unplanned::LongName(name));
                }
                if names.contains(&name) {
                    return Err(Unplanned::Twice(name));
                }
                names.insert(name);
            }
        }
        if features + told > FEATURES {
            return Err(Unplanned::TooMany);
        }
        let mut texts = BTreeSet::new();
        for column in columns {
            let Some(own) = text(column).and_then(|name| Told::Text.names(name)) else {
                continue;
            };
            let there = own.iter().any(|name| names.contains(name));
            if !there && features + told + own.len() <= FEATURES {
                told += own.len();
                texts.insert(column.name().to_owned());
            }
        }
        Ok(Self {
            features,
            told,
            texts,
        })
    }

    /// Whether a text of this name is told in numbers, should it be free.
    pub fn tells(&self, text: &str) -> bool {
        self.texts.contains(text)
    }

    /// Which rows are kept of the features.
    pub(super) fn rows(&self, seed: u64) -> Reservoir {
        Reservoir::new(seed, self.features)
    }

    /// Which rows are told in numbers: the same as far as [`CELLS`] go, so that the sample of the
    /// features does not depend on what is told beside them.
    pub(super) fn told(&self, seed: u64) -> Reservoir {
        let all = if self.told == 0 { CELLS + 1 } else { self.told };
        Reservoir::new(seed, all.max(self.features))
    }
}

/// The name of a column of texts.
fn text(column: &Given) -> Option<&str> {
    match column {
        Given::Feature(field) => match field.kind {
            Kind::Category | Kind::Text => Some(&field.name),
            Kind::Number | Kind::Integer | Kind::Boolean => None,
        },
        Given::Tensor(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: Kind) -> Given {
        let name = name.to_owned();
        Given::Feature(Field { name, kind })
    }

    #[test]
    fn a_text_is_told_in_numbers_where_there_is_room_and_no_other_of_the_name() {
        let plan = Plan::of(&[
            column("review", Kind::Category),
            column("note", Kind::Category),
            column("review digits", Kind::Number),
            column(&"n".repeat(FEATURE_NAME_BYTES), Kind::Category),
        ]);
        let plan = plan.unwrap();
        assert!(!plan.tells("review") && plan.tells("note"));
        assert_eq!((plan.features, plan.told), (4, 5));
        let many = |count: usize| (0..count).map(|n| column(&format!("t{n}"), Kind::Category));
        let plan = Plan::of(&many(400).collect::<Vec<_>>()).unwrap();
        assert_eq!(plan.texts.len(), (FEATURES - 400) / 5);
        assert!(plan.tells("t0") && !plan.tells("t399"));
        let plan = Plan::of(&many(FEATURES).collect::<Vec<_>>()).unwrap();
        assert_eq!(plan.told, 0, "and nothing is refused for it");
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        let tensor = |name: &str| Given::Tensor(name.to_owned());
        let refused = |columns: &[Given]| Plan::of(columns).unwrap_err();
        let many: Vec<Given> = (0..54).map(|n| tensor(&n.to_string())).collect();
        assert_eq!(refused(&many), Unplanned::TooMany);
        assert!(Plan::of(&many[1..]).is_ok());
        let long = "x".repeat(250);
        assert_eq!(refused(&[tensor(&long)]), Unplanned::LongName(long));
        assert_eq!(
            refused(&[tensor("image"), column("image mean", Kind::Number)]),
            Unplanned::Twice("image mean".into())
        );
    }
}
