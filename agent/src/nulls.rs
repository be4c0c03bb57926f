//! Whether an answer says nothing: a value that is no number, null or empty, or no value at all.
//!
//! Pure, and forgiving: servers write what is no number as `NaN` or `null`, which is not JSON, or
//! not a number; so an answer in JSON is not decoded but walked through, and only what stands in
//! an output's `data` is looked at. What cannot be read is not counted: it is no answer of the
//! protocol's, and failed requests are counted elsewhere.

use open_inference::{Data, InferResponse, Tensor};

/// Answers that were looked at, and those of them that said nothing. Both add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    /// Answers that were looked at.
    pub looked: u64,
    /// Those with a value that is no number, null or empty, or with no value at all.
    pub null: u64,
}

impl Nulls {
    /// Adds one answer.
    pub fn add(&mut self, is_null: bool) {
        self.looked += 1;
        self.null += u64::from(is_null);
    }
}

/// Whether an answer that was read says nothing.
pub fn is_null(answer: &InferResponse) -> bool {
    answer.outputs.is_empty() || answer.outputs.iter().any(says_nothing)
}

fn says_nothing(output: &Tensor) -> bool {
    let data = output.data();
    data.is_empty()
        || match data {
            Data::Fp32(values) => values.iter().any(|value| value.is_nan()),
            Data::Fp64(values) => values.iter().any(|value| value.is_nan()),
            Data::Fp16(values) => values.iter().any(|bits| is_nan(*bits, 0x7c00)),
            Data::Bf16(values) => values.iter().any(|bits| is_nan(*bits, 0x7f80)),
            Data::Bytes(values) => values.iter().any(bytes::Bytes::is_empty),
            Data::Bool(_)
            | Data::Uint8(_)
            | Data::Uint16(_)
            | Data::Uint32(_)
            | Data::Uint64(_)
            | Data::Int8(_)
            | Data::Int16(_)
            | Data::Int32(_)
            | Data::Int64(_) => false,
        }
}

/// Whether 16 bits are no number: every bit of the exponent is set, and one below it.
fn is_nan(bits: u16, exponent: u16) -> bool {
    bits & exponent == exponent && bits & 0x7fff > exponent
}

/// Whether an answer in JSON says nothing; nothing where it is no answer of the protocol's.
pub fn is_null_json(body: &[u8]) -> Option<bool> {
    let mut walk = Walk { body, at: 0 };
    let mut key: &[u8] = b"";
    let mut outputs: Option<usize> = None;
    let mut is_null = false;
    while let Some(byte) = walk.next() {
        match byte {
            b'"' => {
                let text = walk.text()?;
                if walk.peek() == Some(b':') {
                    key = text;
                }
            }
            b'[' if key == b"outputs" && outputs.is_none() => {
                outputs = Some(0);
                key = b"";
            }
            b'[' if key == b"data" && outputs.is_some() => {
                is_null |= walk.values()?;
                outputs = outputs.map(|count| count + 1);
                key = b"";
            }
            _ => {}
        }
    }
    outputs.map(|count| is_null || count == 0)
}

/// A place in an answer.
struct Walk<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.body.get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// The rest of a text whose first quote was read, as it is written.
    fn text(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        loop {
            match *self.body.get(self.at)? {
                b'\\' => self.at += 2,
                b'"' => {
                    let text = self.body.get(start..self.at);
                    self.at += 1;
                    return text;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Whether an array whose bracket was read has a value that says nothing, or has none.
    fn values(&mut self) -> Option<bool> {
        let (mut depth, mut count, mut is_null) = (1_usize, 0_u64, false);
        loop {
            match self.next()? {
                b'[' => depth += 1,
                b']' if depth == 1 => return Some(is_null || count == 0),
                b']' => depth -= 1,
                b'"' => {
                    is_null |= self.text()?.is_empty();
                    count += 1;
                }
                b',' => {}
                first => {
                    // `null`, `NaN`, and nothing else that JSON or Python writes begins so.
                    is_null |= matches!(first, b'n' | b'N');
                    count += 1;
                    self.word();
                }
            }
        }
    }

    /// The rest of a number or a word.
    fn word(&mut self) {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        while self.body.get(self.at).is_some_and(is_part) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(data: &str) -> String {
        format!(
            r#"{{"model_name":"m","id":null,"parameters":{{"data":null}},
            "outputs":[{{"name":"p \"null\" [","shape":[1,2],"datatype":"FP32","data":{data}}}]}}"#
        )
    }

    #[test]
    fn an_answer_with_a_value_that_says_nothing_is_null() {
        for (data, is_null) in [
            ("[0.25, -1e-7]", false),
            ("[[0.25],[1]]", false),
            ("[0, true, false]", false),
            (r#"["genuine", "a\"b"]"#, false),
            ("[Infinity, 1]", false),
            ("[0.25, NaN]", true),
            ("[[0.25], [ null ]]", true),
            (r#"["genuine", ""]"#, true),
            ("[]", true),
            ("[[]]", true),
        ] {
            assert_eq!(is_null_json(body(data).as_bytes()), Some(is_null), "{data}");
        }
        assert_eq!(is_null_json(br#"{"outputs":[]}"#), Some(true));
    }

    #[test]
    fn what_is_no_answer_is_not_counted() {
        for text in [
            "",
            "null",
            r#"{"error":"null"}"#,
            r#"{"outputs":[{"data":[1,"#,
            r#"{"inputs":[{"data":[null]}]}"#,
        ] {
            assert_eq!(is_null_json(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn tensors_are_looked_at_by_their_kind() {
        let answer = |data: Data| InferResponse {
            model_name: "m".into(),
            model_version: String::new(),
            id: String::new(),
            outputs: vec![Tensor::new("p", vec![data.len() as i64], data).unwrap()],
        };
        for (data, expected) in [
            (Data::Fp32(vec![1.0, f32::INFINITY]), false),
            (Data::Fp32(vec![1.0, f32::NAN]), true),
            (Data::Fp64(vec![f64::NAN]), true),
            (Data::Fp16(vec![0x3c00, 0x7c00]), false),
            (Data::Fp16(vec![0xfe00]), true),
            (Data::Bf16(vec![0x7f80]), false),
            (Data::Bf16(vec![0x7fc0]), true),
            (Data::Int64(vec![0]), false),
            (Data::Int64(vec![]), true),
            (Data::Bytes(vec!["a".into()]), false),
            (Data::Bytes(vec!["".into()]), true),
        ] {
            assert_eq!(is_null(&answer(data.clone())), expected, "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_to_their_end(bytes in any::<Vec<u8>>(), text in ".{0,80}") {
            let _ = is_null_json(&bytes);
            let _ = is_null_json(text.as_bytes());
        }

        #[test]
        fn numbers_are_never_null(values in prop::collection::vec(-1e9..1e9_f64, 1..20)) {
            let data = serde_json::to_string(&values).unwrap();
            prop_assert_eq!(is_null_json(body(&data).as_bytes()), Some(false));
        }
    }
}
