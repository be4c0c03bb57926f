//! The weights that a safetensors file lists: names, types and shapes, from the JSON at its head.
//!
//! The format says that the weights lie one after the other without a gap, and fill the file. All
//! of that is checked: a file that says otherwise was cut off, or means harm.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Error as _, MapAccess, Visitor};

use super::Weight;

/// Bytes of the head: a model of a thousand layers needs one megabyte.
const MAX_HEAD: u64 = 16 << 20;
/// Arrays of weights in one file: the largest models have some ten thousand.
const MAX_WEIGHTS: usize = 100_000;
/// Dimensions of one array.
const MAX_SHAPE: usize = 16;

/// Types of the format, and the bits of one number.
const BITS: [(&str, u64); 15] = [
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The head of a file, each name once.
struct Head(Vec<(String, Said)>);

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of weights")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let (mut said, mut names) = (Vec::new(), std::collections::HashSet::new());
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("{name:?} comes twice")));
            }
            if name == "__metadata__" {
                map.next_value::<BTreeMap<String, String>>()?;
                continue;
            }
            if said.len() == MAX_WEIGHTS {
                let what = format!("it lists more than {MAX_WEIGHTS} weights");
                return Err(A::Error::custom(what));
            }
            said.push((name, map.next_value()?));
        }
        Ok(Head(said))
    }
}

/// Every array of weights, in the order in which they lie.
pub(super) fn read(path: &Path) -> Result<Vec<Weight>, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let all = file.metadata().map_err(|error| error.to_string())?.len();
    let mut length = [0; 8];
    let cut = "it is no safetensors file: it ends within its head";
    file.read_exact(&mut length).map_err(|_| cut.to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEAD {
        return Err(format!(
            "it is no safetensors file, or a hostile one: its head has {length} bytes, and at \
             most {MAX_HEAD} are read"
        ));
    }
    let data = all.checked_sub(8 + length).ok_or(cut)?;
    let mut head = vec![0; length as usize];
    file.read_exact(&mut head).map_err(|_| cut.to_owned())?;
    let Head(said) = serde_json::from_slice(&head)
        .map_err(|error| format!("its head is not what the format says: {error}"))?;
    placed(said, data)
}

fn placed(mut said: Vec<(String, Said)>, data: u64) -> Result<Vec<Weight>, String> {
    said.sort_by_key(|(_, said)| said.data_offsets);
    let mut weights = Vec::with_capacity(said.len());
    let mut end = 0;
    for (name, said) in said {
        let (from, to) = said.data_offsets;
        if from != end || to < from || to > data {
            return Err(format!(
                "weight {name:?} is said to lie at {from} to {to}, where {end} is next of {data} \
                 bytes: the file was cut off or is damaged"
            ));
        }
        if said.shape.len() > MAX_SHAPE {
            return Err(format!(
                "weight {name:?} has more than {MAX_SHAPE} dimensions"
            ));
        }
        let count = said
            .shape
            .iter()
            .try_fold(1_u64, |all, one| all.checked_mul(*one));
        let bits = BITS.iter().find(|(word, _)| *word == said.dtype);
        let (_, bits) = bits.ok_or_else(|| {
            format!(
                "weight {name:?} is of type {:?}, which is not known",
                said.dtype
            )
        })?;
        let bytes = count
            .and_then(|count| count.checked_mul(*bits))
            .map(|bits| bits / 8);
        if bytes != Some(to - from) {
            return Err(format!(
                "weight {name:?} has {} bytes, which is not what its shape takes",
                to - from
            ));
        }
        end = to;
        weights.push(Weight {
            name,
            dtype: said.dtype,
            shape: said.shape,
        });
    }
    match end == data {
        true => Ok(weights),
        false => Err(format!(
            "{} bytes behind its weights belong to none",
            data - end
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(head: &str, data: usize) -> Result<Vec<Weight>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(head.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        std::fs::write(file.path(), bytes).unwrap();
        read(file.path())
    }

    #[test]
    fn a_file_tells_its_weights() {
        let head = r#"{"__metadata__":{"format":"pt"},
            "b":{"dtype":"F16","shape":[2],"data_offsets":[24,28]},
            "a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
        let weights = told(head, 28).unwrap();
        assert_eq!(
            (weights[0].name.as_str(), weights[0].shape.as_slice()),
            ("a", &[2, 3][..])
        );
        assert_eq!(
            (weights[1].name.as_str(), weights[1].dtype.as_str()),
            ("b", "F16")
        );
        assert_eq!(told("{}", 0).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_is_refused_and_says_what() {
        let one = |said: &str| format!("{{\"a\":{said}}}");
        let whole = r#"{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
        assert!(told(&one(whole), 8).is_ok());
        for (head, data, said) in [
            (one(whole), 7, "cut off"),
            (one(whole), 9, "belong to none"),
            (one(&whole.replace("[2]", "[3]")), 8, "shape"),
            (
                one(&whole.replace("[2]", "[4611686018427387904,4]")),
                8,
                "shape",
            ),
            (one(&whole.replace("F32", "F33")), 8, "not known"),
            (one(&whole.replace("[0,8]", "[8,0]")), 8, "cut off"),
            (one(&whole.replace("[0,8]", "[1,9]")), 9, "cut off"),
            (format!("{{\"a\":{whole},\"a\":{whole}}}"), 8, "twice"),
            (one(&"[".repeat(10_000)), 8, "not what the format says"),
            ("no json".into(), 0, "not what the format says"),
        ] {
            let found = told(&head, data).unwrap_err();
            assert!(found.contains(said), "{found:?} does not say {said:?}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0xff; 16]).unwrap();
        assert!(read(file.path()).unwrap_err().contains("hostile"));
        std::fs::write(file.path(), [0; 4]).unwrap();
        assert!(read(file.path()).unwrap_err().contains("ends within"));
    }
}
