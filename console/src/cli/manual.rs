//! Completions and manual pages, made from the commands themselves.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Command;

use crate::outcome::{Exit, Failure};
use crate::output;

pub(crate) fn completions(
    mut command: Command,
    shell: clap_complete::Shell,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "binnacle", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}

pub(crate) fn man(command: Command, folder: Option<PathBuf>) -> Result<Exit, Failure> {
    match folder {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            page.extend(keys().into_bytes());
            io::stdout().lock().write_all(&page)?;
        }
        Some(folder) => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(command, &folder))
                .and_then(|()| {
                    let page = folder.join("binnacle.1");
                    let mut page = std::fs::File::options().append(true).open(page)?;
                    page.write_all(keys().as_bytes())
                })
                .map_err(|error| {
                    let message = format!("cannot write to {}: {error}", folder.display());
                    Failure::new(Exit::Failed, message)
                })?;
            output::text(format!("wrote the manual pages into {}", folder.display()))?;
        }
    }
    Ok(Exit::Ok)
}

/// The console's keys as a section of its manual page, from the key map.
fn keys() -> String {
    let mut section =
        String::from(".SH KEYS\nOf the console; two keys are typed one after the other.\n");
    for line in binnacle_tui::keymap::bindings().filter(|line| !line.keys.is_empty()) {
        let keys: Vec<String> = line.keys.iter().map(|key| literal(key)).collect();
        let (keys, help) = (keys.join("\\fR, \\fB"), literal(line.help));
        section.push_str(&format!(".TP\n\\fB{keys}\\fR\n{help}\n"));
    }
    section
}

/// Text that roff sets as it stands: no letter of it is a request or an escape.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    format!("\\&{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_manual_and_none_is_taken_for_a_request() {
        let section = keys();
        assert!(section.contains(".TP\n\\fB\\&.\\fR\n"), "{section}");
        assert!(
            section.contains("\\fB\\&ctrl\\-d\\fR, \\fB\\&pagedown\\fR"),
            "{section}"
        );
        let requests = section.lines().filter(|line| line.starts_with('.'));
        let mut requests = requests.filter(|line| !line.starts_with(".SH"));
        assert!(requests.all(|line| line == ".TP"), "{section}");
    }
}
