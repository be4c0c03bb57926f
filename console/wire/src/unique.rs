//! JSON in which no key stands twice: of two values a reader would take one, and nobody could
//! say which was meant.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Whether every key of every object stands once.
///
/// # Errors
/// In words: which key stands twice, or where it is no JSON.
pub fn unique(json: &[u8]) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let checked = Unique.deserialize(&mut reader).and_then(|()| reader.end());
    checked.map_err(|error| error.to_string())
}

/// Walks a value and keeps nothing of it.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format!("the key {key:?} stands twice")));
            }
            seen.insert(key);
            map.next_value_seed(Self)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_named_wherever_it_stands() {
        for json in [
            r#"{"a":1,"a":2}"#,
            r#"{"b":[{"a":1,"c":null,"a":2}]}"#,
            r#"{"\u0061":1,"a":true}"#,
        ] {
            let why = unique(json.as_bytes()).unwrap_err();
            assert!(why.contains("the key \"a\" stands twice"), "{why}");
        }
        for json in [
            r#"{"a":{"a":1},"b":["x",1.5,-1,false,null]}"#,
            "[]",
            "\"x\"",
        ] {
            assert_eq!(unique(json.as_bytes()), Ok(()), "{json}");
        }
        let deep = "[".repeat(100_000);
        for json in ["{", "{} {}", "{\"a\":NaN}", deep.as_str()] {
            assert!(unique(json.as_bytes()).is_err());
        }
    }
}
