//! Why bytes or messages are not the tensors they should be.
//!
//! Every refusal says which tensor, what was expected and what came, so that whoever sent it can
//! mend it without reading this code. Names are escaped: they come from outside.

use crate::Datatype;

/// A request or response that could not be decoded or encoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The body is not JSON, or not the protocol's JSON object.
    #[error("{what} is not the protocol's JSON: {reason}")]
    Json {
        /// Which document.
        what: &'static str,
        /// Where and why, in the parser's words.
        reason: String,
    },
    /// The body's JSON part does not end where the header says it does.
    #[error("the header {header} says {expected} bytes of JSON, but the body has {came}",
        header = crate::HEADER_CONTENT_LENGTH)]
    HeaderLength {
        /// What the header says, escaped.
        expected: String,
        /// The bytes of the body.
        came: usize,
    },
    /// Raw bytes after the JSON part that no tensor claims.
    #[error("{bytes} bytes after the last tensor belong to no tensor")]
    Unclaimed {
        /// How many.
        bytes: usize,
    },
    /// More tensors than [`crate::TENSORS_MAX`].
    #[error("expected at most {max} tensors, got {came}", max = crate::TENSORS_MAX)]
    Tensors {
        /// How many came.
        came: usize,
    },
    /// Raw contents for some tensors only, or beside typed contents.
    #[error("expected raw contents for all {expected} tensors or for none, got {came}")]
    RawContents {
        /// The tensors of the message.
        expected: usize,
        /// The raw contents of the message.
        came: usize,
    },
    /// One tensor is not what it says it is.
    #[error("tensor {}: expected {expected}, got {came}", shown(tensor))]
    Tensor {
        /// The tensor's name as it came.
        tensor: String,
        /// What would have been right.
        expected: String,
        /// What was there instead.
        came: String,
    },
}

impl CodecError {
    /// A refusal of one tensor.
    #[must_use]
    pub fn tensor(name: &str, expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self::Tensor {
            tensor: name.to_owned(),
            expected: expected.into(),
            came: came.into(),
        }
    }

    /// A tensor whose datatype the wanted encoding cannot carry.
    pub(crate) fn not_carried(name: &str, datatype: Datatype, encoding: &str) -> Self {
        let came = format!("{datatype}, which {encoding} cannot carry");
        Self::tensor(name, "raw binary data", came)
    }
}

/// A name from outside as it may be shown: quoted, control characters escaped, cut when long.
#[must_use]
pub fn shown(name: &str) -> String {
    let escaped: String = name
        .chars()
        .take(crate::NAME_MAX_BYTES)
        .flat_map(escape)
        .collect();
    let cut = if name.chars().count() > crate::NAME_MAX_BYTES {
        "…"
    } else {
        ""
    };
    format!("`{escaped}{cut}`")
}

fn escape(c: char) -> Vec<char> {
    if c.is_control() {
        c.escape_default().collect()
    } else {
        vec![c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_terminal_escapes_is_shown_harmless() {
        assert_eq!(shown("\u{1b}[31mred"), "`\\u{1b}[31mred`");
        assert_eq!(shown(&"x".repeat(300)).chars().count(), 255 + 3);
    }
}
