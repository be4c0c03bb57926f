//! `binnacle artifact inspect`: what a file says of itself, before it is registered.

use std::path::Path;

use binnacle_core::name::Name;
use binnacle_core::registry::Tensor;
use binnacle_core::registry::artifact::runs_code;
use binnacle_core::view::shown;
use serde::Serialize;

use crate::cli::header::{self, Header, Weight};
use crate::cli::{time, version};
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// What a file says.
#[derive(Serialize)]
struct Item {
    format: Name,
    /// Whether loading it may run code that is in it.
    runs_code: bool,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    weights: Vec<Weight>,
}

pub(super) fn inspect(file: &Path, form: Form) -> Result<Exit, Failure> {
    let name = file.to_string_lossy();
    let wrong = |what: &str| {
        let message = format!("{} is not what it is called: {what}", shown(&name));
        Failure::new(Exit::Failed, message)
    };
    let is_pickle = header::is_pickle(file).map_err(|what| wrong(&what))?;
    let pickle = Name::parse("pickle").ok().filter(|_| is_pickle);
    let format = version::guessed(&name).or(pickle).ok_or_else(|| {
        let message = format!("neither name nor content tell what {} is", shown(&name));
        Failure::new(Exit::Failed, message)
    })?;
    let Header { signature, weights } = header::read(file, &format).map_err(|what| wrong(&what))?;
    let item = Item {
        runs_code: runs_code(&format),
        format,
        inputs: signature.inputs.to_vec(),
        outputs: signature.outputs.to_vec(),
        weights,
    };
    match form {
        Form::Json => {
            let now_us = time::now_us();
            output::json(&Document::new("binnacle.header/v1", now_us, &[item]))?;
        }
        Form::Text => output::text(page(&item))?,
    }
    Ok(Exit::Ok)
}

fn page(item: &Item) -> String {
    let code = match item.runs_code {
        true => "  loading it may run code that is in it",
        false => "",
    };
    let mut lines = vec![format!("{}{code}", item.format)];
    let sides = [("input", &item.inputs), ("output", &item.outputs)];
    for (side, tensors) in sides {
        lines.extend(
            tensors
                .iter()
                .map(|tensor| format!("  {side:<8} {}", header::line(tensor))),
        );
    }
    lines.extend(item.weights.iter().map(|weight| {
        let Weight { name, dtype, shape } = weight;
        let sizes: Vec<String> = shape.iter().map(u64::to_string).collect();
        format!("  weights  {} {dtype}[{}]", shown(name), sizes.join(","))
    }));
    if item.inputs.is_empty() && item.outputs.is_empty() {
        lines.push("  what goes in and out it does not tell: say it with --signature".to_owned());
    }
    lines.join("\n")
}
