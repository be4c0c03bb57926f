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
            io::stdout().lock().write_all(&page)?;
        }
        Some(folder) => {
            std::fs::create_dir_all(&folder)
                .and_then(|()| clap_mangen::generate_to(command, &folder))
                .map_err(|error| {
                    let message = format!("cannot write to {}: {error}", folder.display());
                    Failure::new(Exit::Failed, message)
                })?;
            output::text(format!("wrote the manual pages into {}", folder.display()))?;
        }
    }
    Ok(Exit::Ok)
}
