//! Golden requests: what a version must answer, kept with it and asked again and again.
//!
//! A file of JSON lines, each `{"request": {…}, "response": {…}, "tolerance": 0.001}`: bodies of
//! the Open Inference Protocol, and how far a number may be off. A number is as it should be
//! within the tolerance times its size, or the tolerance itself where it is smaller than one;
//! labels and text must be the same. Reading them is strict: a file that cannot be read fails
//! its version, since nobody can say that it answers correctly.

use bytes::Bytes;
use open_inference::{InferResponse, rest};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::compare::compare;

/// Bytes of a file of golden requests: dozens of rows, not a test set.
pub const BYTES_MOST: u64 = 4 << 20;
/// Golden requests of one version: they are load, and run each minute.
pub const MOST: usize = 64;
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
        if difference.largest.is_infinite() {
            return Some("its answer has other outputs, or is no number".into());
        }
        Some(format!(
            "its answer is off by {:.3e}, the tolerance is {:.3e}",
            difference.largest,
            self.tolerance * size
        ))
    }
}

/// The largest number in an output, by its size.
fn largest(output: &open_inference::Tensor) -> f64 {
    let zero = open_inference::Tensor::new(
        output.name(),
        output.shape().to_vec(),
        open_inference::Data::zeros(output.datatype(), output.data().len()),
    );
    let alone = |output: &open_inference::Tensor| InferResponse {
        model_name: String::new(),
        model_version: String::new(),
        id: String::new(),
        outputs: vec![output.clone()],
    };
    let zero = zero.map(|zero| compare(&alone(output), &alone(&zero)).largest);
    zero.ok().filter(|size| size.is_finite()).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: f64, tolerance: &str) -> String {
        format!(
            r#"{{"request":{{"inputs":[]}},"response":{{"model_name":"m","outputs":[{{"name":"p","shape":[1,2],"datatype":"FP32","data":[{value},0.2]}}]}}{tolerance}}}"#
        )
    }

    fn answer(value: f64) -> Bytes {
        format!(
            r#"{{"model_name":"m","outputs":[{{"name":"p","shape":[1,2],"datatype":"FP32","data":[{value},0.2]}}]}}"#
        )
        .into()
    }

    #[test]
    fn an_answer_is_right_within_its_tolerance() {
        let golden = parse(&format!("{}\n\n", line(0.8, r#","tolerance":0.01"#))).unwrap();
        let fault = |value| golden[0].fault(&answer(value));
        assert_eq!(fault(0.8), None);
        assert_eq!(fault(0.805), None);
        assert_eq!(
            fault(0.7).as_deref(),
            Some("its answer is off by 1.000e-1, the tolerance is 1.000e-2")
        );
        let other = Bytes::from_static(br#"{"model_name":"m","outputs":[]}"#);
        assert!(golden[0].fault(&other).unwrap().contains("other outputs"));
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
