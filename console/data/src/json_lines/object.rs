//! One line as its keys and values. What is nested is passed over and remembered as such.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::block::canonical;
use crate::schema::{Type, shown};
use crate::tensor::{Fault, Lists};
use crate::text;

/// The keys and values of a line, in order. No key comes twice.
#[derive(Clone, Debug)]
pub(super) struct Object(pub(super) Vec<(String, Scalar)>);

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    /// Values and shape.
    List(Result<(Vec<f64>, Vec<usize>), Fault>),
    Object,
}

impl Scalar {
    /// The type of a column with one more value. What does not fit leaves it as it was: the row
    /// itself is refused later, with its line.
    pub(super) fn widened(&self, so_far: Option<Type>) -> Option<Type> {
        let own = match self {
            Self::Null | Self::Object => return so_far,
            Self::List(_) => Type::Tensor,
            Self::Boolean(_) => Type::Boolean,
            Self::Integer(_) => Type::Integer,
            Self::Number(_) => Type::Number,
            Self::Text(text) if text::time(text).is_some() => Type::Time,
            Self::Text(text) if text.is_empty() => return so_far,
            Self::Text(_) => Type::Text,
        };
        match (so_far, own) {
            (None, own) => Some(own),
            (Some(Type::Integer), Type::Number) => Some(Type::Number),
            (Some(Type::Time), Type::Text) => Some(Type::Text),
            (Some(kind), _) => Some(kind),
        }
    }

    /// As a message repeats it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => format!("{value:?}"),
            Self::Text(text) => shown(text),
            Self::List(_) => "a list".into(),
            Self::Object => "an object".into(),
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Line)
    }
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut all: Vec<(String, Scalar)> = Vec::with_capacity(map.size_hint().unwrap_or(0));
        while let Some(entry) = map.next_entry()? {
            all.push(entry);
        }
        let mut keys: Vec<&str> = all.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if let Some([key, _]) = keys.array_windows::<2>().find(|[a, b]| a == b) {
            return Err(A::Error::custom(format_args!(
                "\"{}\" comes twice",
                shown(key)
            )));
        }
        Ok(Object(all))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(One)
    }
}

struct One;

impl<'de> Visitor<'de> for One {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Boolean(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
        let mut lists = Lists::default();
        Nested(&mut lists, 0).visit_seq(list)?;
        Ok(Scalar::List(lists.finish()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}

/// What lies in so many lists.
struct Nested<'a>(&'a mut Lists, usize);

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Nested<'_> {
    fn number<E>(self, x: f64) -> Result<(), E> {
        self.0.number(self.1, canonical(x));
        Ok(())
    }

    fn none<E>(self) -> Result<(), E> {
        self.0.wrong(Fault::NoNumber);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lists of numbers")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.number(f64::NAN)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.none()
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.none()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(lists, depth) = self;
        lists.begin(depth);
        let mut length = 0;
        while list.next_element_seed(Nested(lists, depth + 1))?.is_some() {
            length += 1;
        }
        lists.end(depth, length);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.none()
    }
}
