//! Golden requests: what a version must answer, kept with it and asked again and again.
//!
//! A file of JSON lines, each `{"request": {…}, "response": {…}, "tolerance": 0.001}`: bodies of
//! the Open Inference Protocol, and how far a number may be off. A number is as it should be
//! within the tolerance times its size, or the tolerance itself where it is smaller than one;
//! labels and text must be the same. Reading them is strict: a file that cannot be read fails
//! its version, since nobody can say that it answers correctly.

use bytes::Bytes;
use open_inference::{Data, InferResponse, Tensor, rest};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::compare::{compare, numbers};

/// Bytes of a file of golden requests: dozens of rows, not a test set.
pub const BYTES_MOST: u64 = 4 << 20;
/// Golden requests of one version: they are load, and run each minute.
pub const MOST: usize = 64;
/// Letters of a text that are told.
const TEXT_MOST: usize = 40;
/// How far a number may be off where a line does not say.
const TOLERANCE: f64 = 1e-4;

/// One request, and what is right.
#[derive(Clone, Debug)]
pub struct GoldenRequest {
    /// The body.
    pub request: Bytes,
    /// The answer.
    pub response: InferResponse,
    /// How far a number of it may be off.
    pub tolerance: f64,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    response: &'a RawValue,
    tolerance: Option<f64>,
}

/// Reads a file of golden requests.
pub fn parse(text: &str) -> Result<Vec<GoldenRequest>, String> {
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |words: String| format!("golden requests, line {}: {words}", at + 1);
        if all.len() >= MOST {
            return Err(wrong(format!("a version has at most {MOST}")));
        }
        let read: Line<'_> =
            serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let response = Bytes::copy_from_slice(read.response.get().as_bytes());
        let response =
            rest::decode_response(&response, None).map_err(|error| wrong(error.to_string()))?;
        let tolerance = read.tolerance.unwrap_or(TOLERANCE);
        if !(tolerance >= 0.0 && tolerance.is_finite()) {
            return Err(wrong(format!("{tolerance} is no tolerance")));
        }
        all.push(GoldenRequest {
            request: Bytes::copy_from_slice(read.request.get().as_bytes()),
            response,
            tolerance,
        });
    }
    if all.is_empty() {
        return Err("golden requests: there is none in the file".into());
    }
    Ok(all)
}

impl GoldenRequest {
    /// Why an answer is not what it should be; nothing when it is.
    pub fn fault(&self, answer: &Bytes) -> Option<String> {
        let answer = match rest::decode_response(answer, None) {
            Ok(answer) => answer,
            Err(error) => return Some(format!("its answer cannot be read: {error}")),
        };
        let difference = compare(&self.response, &answer);
        let size = self
            .response
            .outputs
            .iter()
            .map(largest)
            .fold(1.0, f64::max);
        if difference.largest <= self.tolerance * size && difference.same_class {
            return None;
        }
        Some(self.apart(&answer, self.tolerance * size))
    }

    /// Where an answer is farthest from what was expected, and what stands in either.
    fn apart(&self, answer: &InferResponse, within: f64) -> String {
        let expected = &self.response.outputs;
        if answer.outputs.len() != expected.len() {
            let names = |outputs: &[Tensor]| {
                let names: Vec<&str> = outputs.iter().map(Tensor::name).collect();
                names.join(", ")
            };
            let (got, expected) = (names(&answer.outputs), names(expected));
            return format!("it has the outputs {got:?}, expected {expected:?}");
        }
        let mut worst: Option<(f64, String)> = None;
        for one in expected {
            let name = one.name();
            let Some(other) = answer.outputs.iter().find(|it| it.name() == name) else {
                return format!("it has no output {name:?}");
            };
            if other.shape() != one.shape() {
                let (got, expected) = (other.shape(), one.shape());
                return format!("{name} has the shape {got:?}, expected {expected:?}");
            }
            let (off, words) = farthest(one, other, within);
            if worst.as_ref().is_none_or(|(most, _)| off > *most) {
                worst = Some((off, words));
            }
        }
        worst.map_or_else(String::new, |(_, words)| words)
    }
}

/// By how much two outputs of one shape are apart where they are so most, and what stands there.
fn farthest(expected: &Tensor, got: &Tensor, within: f64) -> (f64, String) {
    let name = expected.name();
    if let (Data::Bytes(one), Data::Bytes(other)) = (expected.data(), got.data()) {
        let place = one.iter().zip(other).position(|(one, other)| one != other);
        let Some(at) = place else {
            return (0.0, format!("{name} is as expected"));
        };
        let text = |all: &[Bytes]| {
            let bytes = all.get(at).map(Bytes::as_ref).unwrap_or_default();
            String::from_utf8_lossy(bytes)
                .chars()
                .take(TEXT_MOST)
                .collect::<String>()
        };
        let (one, other) = (text(one), text(other));
        return (
            f64::INFINITY,
            format!("{name}[{at}] is {other:?}, expected {one:?}"),
        );
    }
    let (Some(one), Some(other)) = (numbers(expected.data()), numbers(got.data())) else {
        return (
            f64::INFINITY,
            format!("{name} is of another kind than expected"),
        );
    };
    let off = |(at, (one, other)): (usize, (&f64, &f64))| {
        let off = (one - other).abs();
        // No number beside a number is as far apart as can be, and two of them are not apart.
        let off = match (one.is_nan(), other.is_nan()) {
            (true, true) => 0.0,
            (false, false) if one == other => 0.0,
            (false, false) => off,
            (true, false) | (false, true) => f64::INFINITY,
        };
        (off, at)
    };
    let all = one.iter().zip(&other).enumerate().map(off);
    let (off, at) = all.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0));
    let value = |all: &[f64]| all.get(at).copied().unwrap_or_default();
    let (one, other) = (short(value(&one)), short(value(&other)));
    (
        off,
        format!("{name}[{at}] is {other}, expected {one} within {within:.1e}"),
    )
}

/// The largest number in an output, by its size.
fn largest(output: &Tensor) -> f64 {
    let zero = Tensor::new(
        output.name(),
        output.shape().to_vec(),
        Data::zeros(output.datatype(), output.data().len()),
    );
    let alone = |output: &Tensor| InferResponse {
        model_name: String::new(),
        model_version: String::new(),
        id: String::new(),
        outputs: vec![output.clone()],
    };
    let zero = zero.map(|zero| compare(&alone(output), &alone(&zero)).largest);
    zero.ok().filter(|size| size.is_finite()).unwrap_or(1.0)
}

/// A number as it was meant: one that came in 32 bits has no more digits than those carry.
fn short(value: f64) -> String {
    let narrow = value as f32;
    match f64::from(narrow) == value {
        true => narrow.to_string(),
        false => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: f64) -> String {
        let output = serde_json::json!({
            "name": "p", "shape": [1, 2], "datatype": "FP32", "data": [value, 0.2],
        });
        serde_json::json!({"model_name": "m", "outputs": [output]}).to_string()
    }

    fn line(value: f64, tolerance: &str) -> String {
        let response = body(value);
        format!(r#"{{"request":{{"inputs":[]}},"response":{response}{tolerance}}}"#)
    }

    fn answer(value: f64) -> Bytes {
        body(value).into()
    }

    #[test]
    fn an_answer_is_right_within_its_tolerance() {
        let golden = parse(&format!("{}\n\n", line(0.8, r#","tolerance":0.01"#))).unwrap();
        let fault = |value| golden[0].fault(&answer(value));
        assert_eq!(fault(0.8), None);
        assert_eq!(fault(0.805), None);
        assert_eq!(
            fault(0.7).as_deref(),
            Some("p[0] is 0.7, expected 0.8 within 1.0e-2")
        );
        let other = Bytes::from_static(br#"{"model_name":"m","outputs":[]}"#);
        let none = golden[0].fault(&other).unwrap();
        assert_eq!(none, r#"it has the outputs "", expected "p""#);
        let wide = body(0.8).replace("[1,2]", "[2,1]");
        let shape = golden[0].fault(&wide.into()).unwrap();
        assert_eq!(shape, "p has the shape [2, 1], expected [1, 2]");
        assert!(
            golden[0]
                .fault(&"x".into())
                .unwrap()
                .contains("cannot be read")
        );
        // A large number may be off by more.
        let large = parse(&line(1_000.0, r#","tolerance":0.01"#)).unwrap();
        assert_eq!(large[0].fault(&answer(1_005.0)), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_where() {
        for (text, words) in [
            ("", "there is none"),
            ("{}", "line 1"),
            (&*line(1.0, r#","tolerance":-1"#), "no tolerance"),
            (&*format!("{}\n{{", line(1.0, "")), "line 2"),
            (
                &*format!("{}\n", line(1.0, "")).repeat(MOST + 1),
                "at most 64",
            ),
        ] {
            let wrong = parse(text).unwrap_err();
            assert!(wrong.contains(words), "{wrong}");
        }
    }
}
