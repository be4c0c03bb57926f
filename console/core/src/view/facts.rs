//! What was said of a version, fact by fact, and of two versions beside each other: written once,
//! for commands and for screens.

use std::collections::BTreeSet;

use super::shown;
use crate::registry::artifact::runs_code;
use crate::registry::{Artifact, VersionDetail};

/// How figures are written: to the last digit, or in few letters.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// A metric.
    pub metric: fn(f64) -> String,
    /// A number of bytes, with its unit.
    pub bytes: fn(u64) -> String,
}

/// One fact of a version.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    /// What it is: metric, train, commit, …
    what: &'static str,
    /// Which one, where they have names; safe for a terminal, as the value is.
    name: String,
    value: String,
    figure: Option<f64>,
}

/// One fact of two versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// What it is: metric auc, input x, commit, …
    pub fact: String,
    /// What was said of the one; nothing: it was not.
    pub left: Option<String>,
    /// What was said of the other.
    pub right: Option<String>,
    /// Both values, where both are measured.
    pub figures: Option<(f64, f64)>,
}

impl Beside {
    /// Whether the same was said of both, or nothing of either.
    pub fn is_same(&self) -> bool {
        self.left == self.right
    }
}

impl Fact {
    fn new(what: &'static str, name: &str, value: &str) -> Self {
        Self {
            what,
            name: shown(name),
            value: shown(value),
            figure: None,
        }
    }

    /// What it is and which, in one.
    fn whole(&self) -> String {
        match self.name.as_str() {
            "" => self.what.to_owned(),
            name => format!("{} {name}", self.what),
        }
    }
}

/// What was said of a version beside its files and its notes.
fn facts(detail: &VersionDetail, figures: Figures) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (name, value) in detail.metrics.iter() {
        facts.push(Fact {
            figure: Some(value),
            ..Fact::new("metric", name.as_str(), &(figures.metric)(value))
        });
    }
    for (name, value) in detail.parameters.iter() {
        facts.push(Fact::new("parameter", name.as_str(), value.as_str()));
    }
    let (inputs, outputs) = (&detail.signature.inputs, &detail.signature.outputs);
    for (side, tensors) in [("input", inputs), ("output", outputs)] {
        for tensor in tensors.iter() {
            let (name, whole) = (tensor.name.as_str(), tensor.to_string());
            let kind = whole.strip_prefix(name).unwrap_or(&whole);
            facts.push(Fact::new(side, name, kind.trim_start()));
        }
    }
    for trained in detail.data_sets.iter() {
        let data_set = trained.data_set.to_string();
        facts.push(Fact::new(trained.role.word(), "", &data_set));
    }
    let (features, parent) = (&detail.feature_set, &detail.parent);
    for (what, reference) in [("features", features), ("parent", parent)] {
        if let Some(reference) = reference {
            facts.push(Fact::new(what, "", &reference.to_string()));
        }
    }
    if let Some(golden) = &detail.golden {
        let value = format!("{} requests, {}", golden.requests, golden.sha256);
        facts.push(Fact::new("golden", "", &value));
    }
    let source = &detail.source;
    for (what, value) in [
        ("run", &source.run),
        ("commit", &source.commit),
        ("author", &source.author),
    ] {
        if !value.is_empty() {
            facts.push(Fact::new(what, "", value.as_str()));
        }
    }
    facts
}

/// Everything that was said of a version but its notes, as a page tells it: what it is, and the
/// value, after its name where it has one.
pub fn page(detail: &VersionDetail, figures: Figures) -> Vec<(&'static str, String)> {
    let line = |fact: Fact| match fact.name.as_str() {
        "" => (fact.what, fact.value),
        name => (fact.what, format!("{name} {}", fact.value)),
    };
    let mut lines: Vec<_> = facts(detail, figures).into_iter().map(line).collect();
    if let Some(Artifact {
        location,
        format,
        sha256,
        bytes,
    }) = &detail.artifact
    {
        let warning = match runs_code(format) {
            true => " (runs code when it is loaded)",
            false => "",
        };
        let (bytes, location) = ((figures.bytes)(*bytes), shown(&location.to_string()));
        lines.push(("files", format!("{format}{warning}, {bytes}, {location}")));
        lines.push(("sha256", sha256.to_string()));
    }
    lines
}

/// The same, each fact once and files part by part.
fn parts(detail: &VersionDetail, figures: Figures) -> Vec<Fact> {
    let mut parts: Vec<Fact> = Vec::new();
    for fact in facts(detail, figures) {
        match parts.iter_mut().find(|known| known.whole() == fact.whole()) {
            // More than one data set in one role.
            Some(known) => known.value = format!("{} {}", known.value, fact.value),
            None => parts.push(fact),
        }
    }
    if let Some(files) = &detail.artifact {
        for (what, value) in [
            ("format", files.format.to_string()),
            ("bytes", files.bytes.to_string()),
            ("location", files.location.to_string()),
            ("sha256", files.sha256.to_string()),
        ] {
            parts.push(Fact::new(what, "", &value));
        }
    }
    parts
}

/// Two versions, fact by fact, in the order of a page.
pub fn beside(left: &VersionDetail, right: &VersionDetail, figures: Figures) -> Vec<Beside> {
    /// What stands where; facts of one kind stay together, whichever of the two has them.
    const ORDER: [&str; 17] = [
        "metric",
        "parameter",
        "input",
        "output",
        "train",
        "validation",
        "test",
        "features",
        "parent",
        "golden",
        "run",
        "commit",
        "author",
        "format",
        "bytes",
        "location",
        "sha256",
    ];
    let (left, right) = (parts(left, figures), parts(right, figures));
    let mut known = BTreeSet::new();
    let mut order: Vec<&Fact> = left.iter().chain(&right).collect();
    order.retain(|fact| known.insert(fact.whole()));
    order.sort_by_key(|fact| ORDER.iter().position(|what| *what == fact.what));
    let row = |fact: &Fact| {
        let of = |facts: &[Fact]| {
            let mut facts = facts.iter();
            facts.find(|one| one.whole() == fact.whole()).cloned()
        };
        let (left, right) = (of(&left), of(&right));
        let figure = |fact: &Option<Fact>| fact.as_ref().and_then(|fact| fact.figure);
        Beside {
            fact: fact.whole(),
            figures: figure(&left).zip(figure(&right)),
            left: left.map(|fact| fact.value),
            right: right.map(|fact| fact.value),
        }
    };
    order.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EXACT: Figures = Figures {
        metric: |value| value.to_string(),
        bytes: |bytes| format!("{bytes} bytes"),
    };

    fn detail(metrics: serde_json::Value, data_sets: &[&str], format: &str) -> VersionDetail {
        let detail = json!({
            "artifact": {
                "location": "stored", "format": format, "sha256": "5e".repeat(32), "bytes": 9,
            },
            "signature": {
                "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
                "outputs": [],
            },
            "metrics": metrics,
            "parameters": {"depth": "7"},
            "source": {"run": "", "commit": "9f1c2ab", "author": ""},
            "data_sets": data_sets,
            "feature_set": null,
            "parent": null,
            "notes": "",
        });
        serde_json::from_value(detail).unwrap()
    }

    #[test]
    fn a_page_tells_each_fact_in_its_order_and_what_runs_code() {
        let detail = detail(json!({"auc": 0.5}), &["a@1:train", "b@1:train"], "pickle");
        let sha256 = "5e".repeat(32);
        assert_eq!(
            page(&detail, EXACT),
            [
                ("metric", "auc 0.5"),
                ("parameter", "depth 7"),
                ("input", "x FP32[?,2]"),
                ("train", "a@1"),
                ("train", "b@1"),
                ("commit", "9f1c2ab"),
                (
                    "files",
                    "pickle (runs code when it is loaded), 9 bytes, stored"
                ),
                ("sha256", sha256.as_str()),
            ]
            .map(|(what, value)| (what, value.to_owned()))
        );
    }

    #[test]
    fn facts_of_one_kind_stand_together_whichever_version_has_them() {
        let left = detail(json!({"auc": 0.5}), &["a@1:train", "b@1:train"], "onnx");
        let right = detail(json!({"auc": 0.75, "loss": 1.0}), &["a@1:train"], "onnx");
        let rows = beside(&left, &right, EXACT);
        let row = |row: &Beside| {
            let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "–".into());
            let (left, right) = (text(&row.left), text(&row.right));
            (!row.is_same()).then(|| format!("{}: {left} | {right}", row.fact))
        };
        let differing: Vec<String> = rows.iter().filter_map(row).collect();
        assert_eq!(
            differing,
            [
                "metric auc: 0.5 | 0.75",
                "metric loss: – | 1",
                "train: a@1 b@1 | a@1"
            ]
        );
        let first = rows.first().unwrap();
        assert_eq!(first.figures, Some((0.5, 0.75)));
        let names: Vec<&str> = rows.iter().map(|row| row.fact.as_str()).collect();
        assert_eq!(
            names,
            [
                "metric auc",
                "metric loss",
                "parameter depth",
                "input x",
                "train",
                "commit",
                "format",
                "bytes",
                "location",
                "sha256"
            ]
        );
    }

    #[test]
    fn what_comes_from_outside_cannot_touch_a_terminal() {
        let detail = detail(json!({"a\u{202e}b": 1.0}), &[], "onnx");
        let lines = page(&detail, EXACT);
        assert_eq!(lines.first().unwrap().1, "a\\u{202e}b 1");
    }
}
