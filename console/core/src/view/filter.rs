//! Filters: words and comparisons, as they are typed after `/`.
//!
//! `fraud p99>250 status!=ok zone~eu` shows rows in which every term holds. A bare word is
//! looked for in the names; a comparison names a field. Latencies are in milliseconds where no
//! unit is given. What is unknown matches no comparison but `=few` and `!=`. A value with blanks
//! stands in double quotes. Screens and the hub's tables read the same filters.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::TimeZone};

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
        moment: Option<i64>,
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
    /// Several words, of which one is enough.
    Words(Vec<Cow<'a, str>>),
    /// A moment, in microseconds since 1970.
    Moment(i64),
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

/// A row of a table whose fields are all known beforehand.
pub trait Listed: Fields {
    /// Their names; one that ends with a point is the beginning of many.
    const FIELDS: &'static [&'static str];
}

impl Filter {
    /// Reads a filter of a table that may have more fields than are known beforehand, such as
    /// labels: only what is compared by size has to be one of `fields`.
    ///
    /// # Errors
    /// In words: which field there is not, or which value is none.
    pub fn parse(text: &str, fields: &[&str]) -> Result<Self, String> {
        Self::read(text, |field, is_by_size| match is_by_size {
            true => known(field, fields),
            false => Ok(()),
        })
    }

    /// Reads a filter of a table with these fields and no others.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn strict(text: &str, fields: &[&str]) -> Result<Self, String> {
        Self::read(text, |field, _| known(field, fields))
    }

    fn read(
        text: &str,
        is_field: impl Fn(&str, bool) -> Result<(), String>,
    ) -> Result<Self, String> {
        let terms = words(text)?;
        let terms = terms.iter().map(|word| term(word, &is_field));
        let terms = terms.collect::<Result<_, _>>()?;
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
                moment,
            } => match row.field(field) {
                None => *how == How::IsNot,
                Some(value) => how.holds(&value, text, *number, *moment),
            },
        })
    }
}

/// The words of a filter; blanks between double quotes part nothing.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut found, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            blank if blank.is_whitespace() && !is_quoted => found.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    if is_quoted {
        return Err(format!("{text:?} opens a quote and does not close it"));
    }
    found.push(word);
    found.retain(|word| !word.is_empty());
    Ok(found)
}

fn term(word: &str, is_field: &impl Fn(&str, bool) -> Result<(), String>) -> Result<Term, String> {
    let found = HOWS
        .iter()
        .filter_map(|(sign, how)| Some((word.find(sign)?, sign, how)));
    let Some((at, sign, how)) = found.min_by_key(|(at, sign, _)| (*at, 3 - sign.len())) else {
        return Ok(Term::Word(word.to_lowercase()));
    };
    let (field, rest) = word.split_at(at);
    let value = rest.strip_prefix(sign).unwrap_or(rest);
    if field.is_empty() {
        return Err(format!("{word:?} names no field before {sign}"));
    }
    let is_by_size = !matches!(how, How::Is | How::IsNot | How::Contains);
    is_field(field, is_by_size)?;
    let (number, moment) = (number(value), moment(value));
    if is_by_size && number.is_none() && moment.is_none() {
        return Err(match value {
            "" => format!("{word} … than what?"),
            value => format!("{value:?} is no figure: write 250, 1.5s, 800us, 4% or 2026-01-31"),
        });
    }
    Ok(Term::Compare {
        field: field.to_owned(),
        how: *how,
        text: value.to_lowercase(),
        number,
        moment,
    })
}

/// Letters of a word that is said again in a suggestion: a longer one is no field's name.
const LONGEST_MEANT: usize = 32;

/// Whether there is such a field; in words what there is, with what was probably meant first.
///
/// # Errors
/// There is none.
pub fn known(field: &str, fields: &[&str]) -> Result<(), String> {
    let is_it = |known: &&str| match known.ends_with('.') {
        true => field.len() > known.len() && field.starts_with(known),
        false => *known == field,
    };
    if fields.iter().any(is_it) {
        return Ok(());
    }
    if let Some(meant) = nearest(field, fields.iter().copied()) {
        return Err(format!("{field:?} is no field: did you mean {meant}?"));
    }
    let told = fields.iter().map(|known| match known.ends_with('.') {
        true => format!("{known}NAME"),
        false => (*known).to_owned(),
    });
    let told: Vec<String> = told.collect();
    // Whoever says auc means metric.auc.
    let families = fields.iter().filter(|known| known.ends_with('.'));
    let meant: Vec<String> = families.map(|known| format!("{known}{field}")).collect();
    let meant = match meant.is_empty() || field.len() > LONGEST_MEANT {
        true => "; there".to_owned(),
        false => format!(": did you mean {}? There", meant.join(" or ")),
    };
    Err(format!(
        "{field:?} is no field{meant} are {}",
        told.join(", ")
    ))
}

/// Which of the known words somebody meant who typed another; nothing where none is near.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = |known: &str| strsim::damerau_levenshtein(known, typed);
    let best = known.min_by_key(|known| far(known))?;
    (far(best) <= best.len().div_ceil(3)).then_some(best)
}

/// Where a row stands in an order by one of its fields.
#[derive(Clone, Debug, PartialEq)]
pub enum Rank {
    /// By size.
    Number(f64),
    /// By the alphabet, capitals or not.
    Text(String),
    /// Behind all others, whichever way it is sorted.
    Unknown,
}

impl Rank {
    /// Where a value stands.
    pub fn of(value: Option<Value<'_>>) -> Self {
        match value {
            Some(Value::Number(number)) => Self::Number(number),
            // Microseconds of our time are whole numbers that a float holds exactly.
            Some(Value::Moment(at_us)) => Self::Number(at_us as f64),
            Some(Value::Text(text)) => Self::Text(text.to_lowercase()),
            Some(Value::Words(words)) => Self::Text(words.join(" ").to_lowercase()),
            Some(Value::Unknown) | None => Self::Unknown,
        }
    }

    /// Which comes first.
    pub fn compare(&self, other: &Self, is_descending: bool) -> Ordering {
        let turned = |order: Ordering| match is_descending {
            true => order.reverse(),
            false => order,
        };
        match (self, other) {
            (Self::Unknown, Self::Unknown) => Ordering::Equal,
            (Self::Unknown, Self::Number(_) | Self::Text(_)) => Ordering::Greater,
            (Self::Number(_) | Self::Text(_), Self::Unknown) => Ordering::Less,
            (Self::Number(left), Self::Number(right)) => turned(left.total_cmp(right)),
            (Self::Text(left), Self::Text(right)) => turned(left.cmp(right)),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}

impl How {
    fn holds(
        self,
        value: &Value<'_>,
        text: &str,
        number: Option<f64>,
        moment: Option<i64>,
    ) -> bool {
        let same = || match (value, number) {
            (Value::Number(value), Some(number)) => (value - number).abs() < f64::EPSILON,
            (Value::Number(_), None) => false,
            (Value::Text(value), _) => value.eq_ignore_ascii_case(text),
            (Value::Words(words), _) => words.iter().any(|word| word.eq_ignore_ascii_case(text)),
            (Value::Moment(at_us), _) => moment == Some(*at_us),
            (Value::Unknown, _) => matches!(text, "few" | "unknown" | "-"),
        };
        let size = |holds: fn(Ordering) -> bool| match (value, number, moment) {
            (Value::Number(value), Some(number), _) => {
                value.partial_cmp(&number).is_some_and(holds)
            }
            (Value::Moment(at_us), _, Some(moment)) => holds(at_us.cmp(&moment)),
            (Value::Number(_) | Value::Moment(_), _, _) => false,
            (Value::Text(_) | Value::Words(_) | Value::Unknown, _, _) => false,
        };
        match self {
            Self::Is => same(),
            Self::IsNot => !same(),
            Self::Contains => match value {
                Value::Text(value) => contains(value, text),
                Value::Words(words) => words.iter().any(|word| contains(word, text)),
                Value::Number(_) | Value::Moment(_) | Value::Unknown => false,
            },
            Self::More => size(Ordering::is_gt),
            Self::MoreOrSame => size(Ordering::is_ge),
            Self::Less => size(Ordering::is_lt),
            Self::LessOrSame => size(Ordering::is_le),
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
    if let Ok(figure) = text.parse::<f64>() {
        return Some(figure).filter(|figure| figure.is_finite());
    }
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

/// A moment: RFC 3339, or a date or a time of one in UTC.
fn moment(text: &str) -> Option<i64> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_microsecond());
    }
    // A bare number is a figure, whatever else it could be read as.
    let civil = text.contains('-').then_some(text)?;
    let at = civil.parse::<DateTime>().ok();
    let at = at.or_else(|| Some(civil.parse::<Date>().ok()?.to_datetime(Default::default())))?;
    let at = at.to_zoned(TimeZone::UTC).ok()?;
    Some(at.timestamp().as_microsecond())
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
                "tag" => Some(Value::Words(vec!["Fraud".into(), "card-risk".into()])),
                "owner" => Some(Value::Text("Alice Smith".into())),
                "at" => Some(Value::Moment(1_767_225_600_000_000)),
                "delta" => Some(Value::Number(-0.5)),
                _ => None,
            }
        }

        fn has_word(&self, word: &str) -> bool {
            contains("Infer-0042", word)
        }
    }

    fn check(text: &str) -> Result<bool, String> {
        let filter = Filter::parse(text, &["p99", "p50", "status", "at", "delta"])?;
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
            "tag=fraud",
            "tag~risk",
            "tag!=wine",
            "owner=\"alice smith\" p99>250",
            "at>2025-12-31",
            "at=2026-01-01",
            "at<=2026-01-01T00:00:00Z",
            "delta<-0.4",
            "delta>=-5e-1",
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
            "tag=risk",
            "tag!=fraud",
            "at<2026-01-01",
            "at>3",
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
        assert!(check("p98>3").unwrap_err().contains("did you mean p99"));
        assert!(check("speed>3").unwrap_err().contains("p99, p50, status"));
        assert!(check("owner=\"a").unwrap_err().contains("quote"));
        assert!(check("p99>fast").unwrap_err().contains("fast"));
        assert!(check("p99>").unwrap_err().contains("than what"));
        assert!(check(">3").is_err());
        let strict = |text: &str| Filter::strict(text, &["owner", "metric."]);
        assert!(strict("owner=a metric.auc>0.9").is_ok());
        assert!(strict("ownr=a").unwrap_err().contains("did you mean owner"));
        assert!(strict("metric.=1").is_err());
    }

    #[test]
    fn what_is_unknown_comes_last_whichever_way_it_is_sorted() {
        let ranks = |is_descending| {
            let values = [None, Some(Value::Number(1.0)), Some(Value::Number(2.0))];
            let mut ranks: Vec<Rank> = values.into_iter().map(Rank::of).collect();
            ranks.sort_by(|left, right| left.compare(right, is_descending));
            ranks
        };
        let (one, two) = (Rank::Number(1.0), Rank::Number(2.0));
        assert_eq!(ranks(false), [one.clone(), two.clone(), Rank::Unknown]);
        assert_eq!(ranks(true), [two, one, Rank::Unknown]);
    }
}
