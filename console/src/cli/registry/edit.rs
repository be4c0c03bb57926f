//! One way of changing what is said of something: `--set`, a file, or the editor.
//!
//! What was read is what is edited: a change that somebody else made meanwhile is never undone.
//! On a conflict the difference is shown, and what was typed into an editor is kept in a file.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use binnacle_core::view::shown;
use clap::Args;
use proto::registry_command::Command;
use serde::Serialize;
use serde::de::DeserializeOwned;

use binnacle_proto::v1 as proto;

use super::{How, document, pair};
use crate::cli::Global;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::Form;
use crate::{editor, state};

/// What is to be changed; without any of it the editor opens.
#[derive(Args, Debug)]
pub(crate) struct Edit {
    /// One part, as in owner=alice or tags=a,b; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// All of it, from a TOML or JSON file; - reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    file: Option<PathBuf>,
}

/// Something that can be edited.
pub(crate) trait Subject {
    /// What is said of it.
    type Said: Serialize + DeserializeOwned + PartialEq;

    /// What it is and its name, as in `model fraud`.
    fn name(&self) -> String;
    /// The words that edit it, as in `model edit fraud`.
    fn words(&self) -> String;
    /// What can be said, for the head of an editor's file.
    fn parts(&self) -> &'static str;
    /// What is said of it now, and the revision that this is.
    async fn read(&self, link: &Link) -> Result<(Self::Said, u64), Failure>;
    /// The same with one part replaced.
    fn set(&self, said: Self::Said, key: &str, value: &str) -> Result<Self::Said, Failure>;
    /// The command that says it.
    fn command(&self, said: &Self::Said) -> Command;
}

/// What is to be said, and the text that somebody typed for it.
struct Wanted<T> {
    said: T,
    typed: Option<String>,
}

impl Edit {
    /// Changes what is said of `subject`, and tells what became of it.
    pub(crate) async fn run<S: Subject>(
        self,
        subject: &S,
        how: How,
        link: &Link,
        global: &Global,
    ) -> Result<Exit, Failure> {
        let (said, revision) = subject.read(link).await?;
        let before = document::written(&said)?;
        let wanted = self.wanted(subject, said, revision, global).await?;
        let after = document::written(&wanted.said)?;
        let how = How {
            if_revision: how.if_revision.or(Some(revision)),
            ..how
        };
        let difference = document::difference(&before, &after);
        if global.form() == Form::Text && (wanted.typed.is_some() || how.dry_run) {
            for line in &difference {
                crate::output::text(line)?;
            }
        }
        let name = subject.name();
        let bare = name.rsplit(' ').next().unwrap_or(&name);
        let told = how.differing(difference);
        let ended = told
            .tell(
                link,
                subject.command(&wanted.said),
                bare,
                "edited",
                global.form(),
            )
            .await;
        match ended {
            Err(failure) if failure.exit == Exit::Conflict => {
                Err(conflict(subject, link, &wanted, &after, failure).await)
            }
            Err(failure) => Err(keep(subject, &wanted.typed, failure)),
            Ok(exit) => Ok(exit),
        }
    }

    async fn wanted<S: Subject>(
        &self,
        subject: &S,
        said: S::Said,
        revision: u64,
        global: &Global,
    ) -> Result<Wanted<S::Said>, Failure> {
        let typed = None;
        if let Some(path) = &self.file {
            let said = document::file(path)?;
            return Ok(Wanted { said, typed });
        }
        if !self.set.is_empty() {
            let set = |said, (key, value): &(String, String)| subject.set(said, key, value);
            let said = self.set.iter().try_fold(said, set)?;
            return Ok(Wanted { said, typed });
        }
        if global.no_input || !(has_editor() || std::io::stdin().is_terminal()) {
            let message = format!("nothing says what of {} is to be changed", subject.name());
            let hint = "say --set KEY=VALUE or --file FILE; on a terminal, or where EDITOR is \
                        set, the editor opens";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        let head = format!(
            "# {} at revision {revision}. Save and leave to apply; leave it as it is to change \
             nothing.\n# {}\n\n",
            subject.name(),
            subject.parts()
        );
        let text = format!("{head}{}", document::written(&said)?);
        let typed = editor::edit(&text, "toml").await;
        let typed = typed.map_err(|why| Failure::new(Exit::Failed, why))?;
        match document::read(&typed) {
            Ok(said) => Ok(Wanted {
                said,
                typed: Some(typed),
            }),
            Err(why) => {
                let failure = Failure::new(Exit::Usage, format!("{}: {why}", subject.name()));
                Err(keep(subject, &Some(typed), failure))
            }
        }
    }
}

fn has_editor() -> bool {
    ["VISUAL", "EDITOR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Says how what is there now differs from what was to be said.
async fn conflict<S: Subject>(
    subject: &S,
    link: &Link,
    wanted: &Wanted<S::Said>,
    after: &str,
    failure: Failure,
) -> Failure {
    let mut failure = failure;
    if let Ok((now, _)) = subject.read(link).await
        && let Ok(now) = document::written(&now)
    {
        failure.difference = document::difference(&now, after);
    }
    failure.hint = format!(
        "- is there now, + was to be; `binnacle {}` begins from what is there now",
        subject.words()
    );
    keep(subject, &wanted.typed, failure)
}

/// Keeps what was typed, and says where.
fn keep<S: Subject>(subject: &S, typed: &Option<String>, failure: Failure) -> Failure {
    let Some(typed) = typed else {
        return failure;
    };
    let mut failure = failure;
    let name = subject.name().replace([' ', '@'], "-");
    match state::keep_draft(&name, "toml", typed) {
        Ok(path) => {
            let path = shown(&path.display().to_string());
            let words = subject.words();
            let hint =
                format!("what you typed is kept: `binnacle {words} --file {path}` applies it");
            failure.hint = match failure.hint.as_str() {
                "" => hint,
                said => format!("{said}\n  {hint}"),
            };
            failure.kept = Some(path);
        }
        // It is told on the terminal then, so that it is not lost.
        Err(why) => {
            failure.hint = why;
            failure.difference = typed.lines().map(shown).collect();
        }
    }
    failure
}
