//! A section of docs/benchmarks.md, or of a document beside it, between two markers, and what
//! it was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use color_eyre::eyre::{WrapErr, eyre};

/// Replaces what stands between the markers of `name` in docs/benchmarks.md.
pub(crate) fn rewrite(name: &str, text: &str) -> color_eyre::Result<()> {
    rewrite_in("benchmarks.md", name, text)
}

/// The same in another document of docs/.
pub(crate) fn rewrite_in(document: &str, name: &str, text: &str) -> color_eyre::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(document);
    let page =
        fs::read_to_string(&path).wrap_err_with(|| format!("cannot read docs/{document}"))?;
    let (begin, end) = (
        format!("<!-- {name}:begin -->"),
        format!("<!-- {name}:end -->"),
    );
    let missing = || eyre!("docs/{document} has no marker {begin} … {end}: add it");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let page = format!("{before}{begin}\n{}\n{end}{after}", text.trim());
    fs::write(&path, page).wrap_err_with(|| format!("cannot write docs/{document}"))
}

/// The machine, in a line.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    format!(
        "{cores} cores of {model}, {}",
        first_line("uname", &["-sr"])
    )
}

/// The first line that a program prints.
pub(crate) fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return format!("{program} missing");
    };
    let all = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&all);
    text.lines().next().unwrap_or_default().trim().to_owned()
}
