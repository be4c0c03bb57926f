//! The house rules that a machine can hold: each fails with the reason why it is a rule.
//!
//! The tree is read as it lies on the disk, so that a rule bites before a commit. What clippy
//! and rustfmt hold already (length of functions, formatting, unwraps) is left to them.

mod crates;
mod docs;
mod sources;
mod tree;

/// Fails with the reason and with every place that breaks the rule.
fn hold(reason: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{reason}\n  {}", broken.join("\n  "));
}
