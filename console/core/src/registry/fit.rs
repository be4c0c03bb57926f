//! Whether a signature takes the features of a set, and if not, how they differ.

use super::feature::{FeatureKind, Features};
use super::signature::{Datatype, Signature, Tensor};

/// Differences that are told: more are counted.
const MAX_TOLD: usize = 10;

/// How a signature and the features that it should take differ; empty where they fit.
///
/// They fit in one of two ways. *Rows*: a single input of numbers whose last dimension is the
/// count of features, each of them a number. *Columns*: one input for each feature, of its name
/// and of a datatype that can hold it; further inputs are a difference. A tensor is an input of its
/// name with at least one dimension beside the batch, also where it is the only one. A signature
/// without inputs says nothing, and fits.
pub(crate) fn differences(signature: &Signature, features: &Features) -> Vec<String> {
    match &*signature.inputs {
        [] => Vec::new(),
        [rows] if rows.shape.len() >= 2 && !is_tensor(rows, features) => {
            let mut found = Vec::new();
            let count = features.count() as i64;
            let width = rows.shape.last().copied().unwrap_or(-1);
            if width != -1 && width != count {
                found.push(format!(
                    "input {} takes {width} features a row, the feature set has {count}",
                    rows.name
                ));
            }
            for feature in features.iter() {
                if feature.kind == FeatureKind::Tensor {
                    found.push(format!(
                        "feature {} is a tensor, which is an input of its own, of this name",
                        feature.name
                    ));
                } else if !holds(rows.datatype, feature.kind) {
                    found.push(format!(
                        "feature {} is {}, input {} is {}",
                        feature.name, feature.kind, rows.name, rows.datatype
                    ));
                }
            }
            told(found)
        }
        columns => {
            let mut found = Vec::new();
            for feature in features.iter() {
                match columns.iter().find(|input| input.name == feature.name) {
                    None => found.push(format!("feature {} is no input", feature.name)),
                    Some(input) if !holds(input.datatype, feature.kind) => found.push(format!(
                        "feature {} is {}, its input is {}",
                        feature.name, feature.kind, input.datatype
                    )),
                    Some(input) if feature.kind == FeatureKind::Tensor && input.shape.len() < 2 => {
                        found.push(format!(
                            "feature {} is a tensor, its input has no dimension beside the batch",
                            feature.name
                        ));
                    }
                    Some(_) => {}
                }
            }
            for input in columns {
                if !features.iter().any(|feature| feature.name == input.name) {
                    found.push(format!("input {} is no feature", input.name));
                }
            }
            told(found)
        }
    }
}

/// Whether this input is the one feature, a tensor, and no rows of features.
fn is_tensor(input: &Tensor, features: &Features) -> bool {
    let mut all = features.iter();
    let one = all.next().filter(|_| all.next().is_none());
    one.is_some_and(|one| one.kind == FeatureKind::Tensor && one.name == input.name)
}

fn told(mut found: Vec<String>) -> Vec<String> {
    if found.len() > MAX_TOLD {
        let more = found.len() - MAX_TOLD;
        found.truncate(MAX_TOLD);
        found.push(format!("and {more} more"));
    }
    found
}

/// Whether values of a feature can be put into a tensor without loss of what they mean.
fn holds(datatype: Datatype, kind: FeatureKind) -> bool {
    match kind {
        FeatureKind::Float => datatype.is_float(),
        FeatureKind::Integer => datatype.is_number(),
        FeatureKind::Boolean => datatype != Datatype::Bytes,
        // A code, or the word itself.
        FeatureKind::Category => datatype != Datatype::Bool,
        FeatureKind::Text => datatype == Datatype::Bytes,
        FeatureKind::Tensor => datatype.is_number(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::feature::{Allowed, Feature};
    use super::super::text::Line;
    use super::*;

    fn check(inputs: &[(&str, Datatype, &[i64])], features: &[(&str, FeatureKind)], said: &[&str]) {
        let line = |text: &str| Line::parse(text).unwrap();
        let inputs = inputs.iter().map(|(name, datatype, shape)| Tensor {
            name: line(name),
            datatype: *datatype,
            shape: shape.to_vec(),
        });
        let features = features.iter().map(|(name, kind)| Feature {
            name: line(name),
            kind: *kind,
            unit: Line::default(),
            description: Line::default(),
            allowed: Allowed::Anything,
        });
        let signature = Signature::parse(inputs.collect(), Vec::new()).unwrap();
        let features = Features::parse(features.collect()).unwrap();
        assert_eq!(differences(&signature, &features), said);
    }

    #[test]
    fn a_signature_takes_rows_or_columns_of_its_features_or_says_how_not() {
        use Datatype::{Bytes, Fp32, Int64};
        use FeatureKind::{Category, Float, Integer};
        let two = [("amount", Float), ("age", Integer)];
        check(&[], &two, &[]);
        check(&[("x", Fp32, &[-1, 2])], &two, &[]);
        check(&[("x", Fp32, &[-1, -1])], &two, &[]);
        check(
            &[("age", Int64, &[-1, 1]), ("amount", Fp32, &[-1, 1])],
            &two,
            &[],
        );
        check(&[("amount", Fp32, &[-1])], &[("amount", Float)], &[]);
        check(
            &[("x", Fp32, &[-1, 3])],
            &two,
            &["input x takes 3 features a row, the feature set has 2"],
        );
        check(
            &[("x", Int64, &[-1, 2])],
            &two,
            &["feature amount is float, input x is INT64"],
        );
        check(
            &[("amount", Bytes, &[-1, 1]), ("country", Bytes, &[-1, 1])],
            &[("amount", Float), ("age", Integer), ("country", Category)],
            &[
                "feature amount is float, its input is BYTES",
                "feature age is no input",
            ],
        );
        check(
            &[("amount", Fp32, &[-1]), ("surplus", Fp32, &[-1])],
            &[("amount", Float)],
            &["input surplus is no feature"],
        );
    }

    #[test]
    fn a_tensor_is_an_input_of_its_own() {
        use Datatype::{Bool, Bytes, Fp32, Uint8};
        use FeatureKind::{Float, Text};
        let image = [("image", FeatureKind::Tensor)];
        check(&[("image", Fp32, &[-1, 8, 8])], &image, &[]);
        check(&[("image", Uint8, &[-1, -1])], &image, &[]);
        check(
            &[
                ("image", Uint8, &[-1, 28, 28, 3]),
                ("caption", Bytes, &[-1, 1]),
            ],
            &[("image", FeatureKind::Tensor), ("caption", Text)],
            &[],
        );
        check(
            &[("x", Fp32, &[-1, 1])],
            &image,
            &["feature image is a tensor, which is an input of its own, of this name"],
        );
        check(
            &[("image", Fp32, &[-1, 2])],
            &[("image", FeatureKind::Tensor), ("age", Float)],
            &["feature image is a tensor, which is an input of its own, of this name"],
        );
        check(
            &[("image", Fp32, &[-1])],
            &image,
            &["feature image is a tensor, its input has no dimension beside the batch"],
        );
        for datatype in [Bool, Bytes] {
            let said = format!("feature image is tensor, its input is {datatype}");
            check(&[("image", datatype, &[-1, 8])], &image, &[&said]);
        }
    }

    #[test]
    fn of_many_differences_the_first_are_told_and_the_rest_counted() {
        let names: Vec<String> = (0..20).map(|number| format!("f{number}")).collect();
        let line = |text: &str| Line::parse(text).unwrap();
        let features = names.iter().map(|name| Feature {
            name: line(name),
            kind: FeatureKind::Text,
            unit: Line::default(),
            description: Line::default(),
            allowed: Allowed::Anything,
        });
        let rows = Tensor {
            name: line("x"),
            datatype: Datatype::Fp32,
            shape: vec![-1, 20],
        };
        let signature = Signature::parse(vec![rows], Vec::new()).unwrap();
        let found = differences(&signature, &Features::parse(features.collect()).unwrap());
        assert_eq!(
            (found.len(), found.last().unwrap().as_str()),
            (11, "and 10 more")
        );
    }
}
