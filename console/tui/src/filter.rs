//! Filters: words and comparisons, as they are typed after `/`.
//!
//! `fraud p99>250 status!=ok zone~eu` shows rows in which every term holds. A bare word is
//! looked for in the names; a comparison names a field. Latencies are in milliseconds where no
//! unit is given. What is unknown matches no comparison but `=few` and `!=`.

use std::borrow::Cow;

/// A filter, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    Word(String),
    Compare {
        field: String,
        how: How,
        text: String,
        number: Option<f64>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Is,
    IsNot,
    Contains,
    More,
    MoreOrSame,
    Less,
    LessOrSame,
}

/// Longest first, so that `>=` is not read as `>`.
const HOWS: [(&str, How); 7] = [
    ("!=", How::IsNot),
    (">=", How::MoreOrSame),
    ("<=", How::LessOrSame),
    ("=", How::Is),
    ("~", How::Contains),
    (">", How::More),
    ("<", How::Less),
];

/// What a row has in a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A figure, in the field's unit.
    Number(f64),
    /// A word.
    Text(Cow<'a, str>),
    /// Not known: few, stale, never seen.
    Unknown,
}

/// A row, as a filter sees it.
pub trait Fields {
    /// What it has in a field; nothing when there is no such field.
    fn field(&self, name: &str) -> Option<Value<'_>>;
    /// Whether one of its names contains the word, which is in lower case.
    fn has_word(&self, word: &str) -> bool;
}

impl Filter {
    /// Reads a filter; `is_field` says which fields there are.
    pub fn parse(text: &str, fields: &[&str]) -> Result<Self, String> {
        let term = |word: &str| {
            let found = HOWS
                .iter()
                .filter_map(|(sign, how)| Some((word.find(sign)?, sign, how)));
            let Some((at, sign, how)) = found.min_by_key(|(at, sign, _)| (*at, 3 - sign.len()))
            else {
                return Ok(Term::Word(word.to_lowercase()));
            };
            let (field, rest) = word.split_at(at);
            let value = rest.strip_prefix(sign).unwrap_or(rest);
            // Labels are fields too, whose names are not known beforehand: only what is
            // compared by size has to be one of the columns.
            let by_size = !matches!(how, How::Is | How::IsNot | How::Contains);
            if field.is_empty() || (by_size && !fields.contains(&field)) {
                return Err(format!(
                    "{field:?} is no field; there are {}",
                    fields.join(", ")
                ));
            }
            let number = number(value);
            if by_size && number.is_none() {
                return Err(match value {
                    "" => format!("{word} … than what?"),
                    value => format!("{value:?} is no figure: write 250, 1.5s, 800us or 4%"),
                });
            }
            Ok(Term::Compare {
                field: field.to_owned(),
                how: *how,
                text: value.to_lowercase(),
                number,
            })
        };
        let terms = text
            .split_whitespace()
            .map(term)
            .collect::<Result<_, _>>()?;
        Ok(Self { terms })
    }

    /// Whether it shows everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a row is shown.
    pub fn takes(&self, row: &impl Fields) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Word(word) => row.has_word(word),
            Term::Compare {
                field,
                how,
                text,
                number,
            } => match row.field(field) {
                None => *how == How::IsNot,
                Some(value) => how.holds(&value, text, *number),
            },
        })
    }
}

impl How {
    fn holds(self, value: &Value<'_>, text: &str, number: Option<f64>) -> bool {
        let same = || match (value, number) {
            (Value::Number(value), Some(number)) => (value - number).abs() < f64::EPSILON,
            (Value::Number(_), None) => false,
            (Value::Text(value), _) => value.eq_ignore_ascii_case(text),
            (Value::Unknown, _) => matches!(text, "few" | "unknown" | "-"),
        };
        let size = |holds: fn(&f64, &f64) -> bool| match (value, number) {
            (Value::Number(value), Some(number)) => holds(value, &number),
            (Value::Number(_) | Value::Text(_) | Value::Unknown, _) => false,
        };
        match self {
            Self::Is => same(),
            Self::IsNot => !same(),
            Self::Contains => match value {
                Value::Text(value) => contains(value, text),
                Value::Number(_) | Value::Unknown => false,
            },
            Self::More => size(f64::gt),
            Self::MoreOrSame => size(f64::ge),
            Self::Less => size(f64::lt),
            Self::LessOrSame => size(f64::le),
        }
    }
}

/// Whether `text` contains `word`, which is in lower case; allocates only for letters beyond
/// ASCII.
pub fn contains(text: &str, word: &str) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(word);
    }
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty()
        || text
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word))
}

/// A figure with an optional unit: times in milliseconds, shares in per cent, others as they
/// are, with k and M for thousands and millions.
fn number(text: &str) -> Option<f64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (figure, unit) = text.split_at(end.unwrap_or(text.len()));
    let factor = match unit {
        "" | "ms" | "%" => 1.0,
        "us" | "µs" => 1e-3,
        "s" | "k" => 1e3,
        "m" | "min" => 60e3,
        "M" => 1e6,
        _ => return None,
    };
    figure.parse::<f64>().ok().map(|figure| figure * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Fields for Row {
        fn field(&self, name: &str) -> Option<Value<'_>> {
            match name {
                "p99" => Some(Value::Number(251.0)),
                "p50" => Some(Value::Unknown),
                "status" => Some(Value::Text("OK".into())),
                "zone" => Some(Value::Text("eu-west-1".into())),
                _ => None,
            }
        }

        fn has_word(&self, word: &str) -> bool {
            contains("Infer-0042", word)
        }
    }

    fn check(text: &str) -> Result<bool, String> {
        let filter = Filter::parse(text, &["p99", "p50", "status"])?;
        Ok(filter.takes(&Row))
    }

    #[test]
    fn every_term_has_to_hold() {
        let shown = [
            "",
            "infer",
            "INFER 42",
            "p99>250",
            "p99>=251",
            "p99<0.3s",
            "p99=251",
            "status=ok",
            "status!=crit",
            "zone~west",
            "zone=EU-west-1",
            "rack!=7",
            "p50=few",
            "p50!=3",
        ];
        let hidden = [
            "fraud",
            "p99>251",
            "p99>300 infer",
            "status!=ok",
            "p50>0",
            "p50<9",
            "rack=7",
            "zone~us",
        ];
        for text in shown {
            assert_eq!(check(text), Ok(true), "{text}");
        }
        for text in hidden {
            assert_eq!(check(text), Ok(false), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_could_be() {
        assert!(check("p98>3").unwrap_err().contains("p99, p50, status"));
        assert!(check("p99>fast").unwrap_err().contains("fast"));
        assert!(check("p99>").unwrap_err().contains("than what"));
        assert!(check(">3").is_err());
    }
}
