//! How a command ends: an exit code, and a failure that says what happened and what to do.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde::Serialize;
use tonic::{Code, Status};

/// Exit codes, the same with and without `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The words are off.
    Usage = 2,
    /// No such thing.
    NotFound = 3,
    /// Not permitted.
    NotPermitted = 4,
    /// Somebody else changed it first.
    Conflict = 6,
    /// It was refused by a gate, or rolled back; or what was compared has drifted.
    Refused = 7,
    /// It is still under way.
    Pending = 8,
    /// The hub is out of reach, or what it says is stale.
    Unreachable = 9,
    /// Somebody has to confirm it.
    Unconfirmed = 10,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    pub(crate) exit: Exit,
    /// The reason in one word, for scripts.
    pub(crate) code: &'static str,
    /// What happened, to what.
    pub(crate) message: String,
    /// What to do next; empty where the message says it.
    pub(crate) hint: String,
    /// Whether the same words may work later.
    pub(crate) retryable: bool,
    /// Line by line, what differs from what was meant; where that is why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) difference: Vec<String>,
    /// The file in which what was typed is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let (code, retryable) = match exit {
            Exit::Ok | Exit::Failed => ("failed", false),
            Exit::Usage => ("usage", false),
            Exit::NotFound => ("not_found", false),
            Exit::NotPermitted => ("not_permitted", false),
            Exit::Conflict => ("conflict", false),
            Exit::Refused => ("refused", false),
            Exit::Pending => ("pending", true),
            Exit::Unreachable => ("unreachable", true),
            Exit::Unconfirmed => ("confirmation_needed", false),
            Exit::Interrupted => ("interrupted", true),
        };
        Self {
            exit,
            code,
            message: message.into(),
            hint: String::new(),
            retryable,
            difference: Vec::new(),
            kept: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// A failure with its causes, on one line.
    pub(crate) fn of(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            // Some causes repeat what was said above them.
            let why = error.to_string();
            if !message.contains(&why) {
                message.push_str(": ");
                message.push_str(&why);
            }
            cause = error.source();
        }
        Self::new(exit, message)
    }

    /// Says it on stderr: as a line for people, or as JSON for scripts.
    pub(crate) fn tell(&self, json: bool) -> ExitCode {
        let mut stderr = io::stderr().lock();
        // With nowhere to say it, the exit code still says that it failed.
        let _unheard = match json {
            true => serde_json::to_string(self).map(|text| writeln!(stderr, "{text}")),
            false => {
                let mut text = format!("binnacle: {}\n", self.message);
                text.extend(self.difference.iter().map(|line| format!("  {line}\n")));
                if !self.hint.is_empty() {
                    text.push_str(&format!("  {}\n", self.hint));
                }
                Ok(stderr.write_all(text.as_bytes()))
            }
        };
        self.exit.into()
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let exit = match status.code() {
            Code::NotFound => Exit::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Exit::NotPermitted,
            Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
            Code::Aborted | Code::AlreadyExists => Exit::Conflict,
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => Exit::Unreachable,
            Code::Ok
            | Code::Unknown
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => Exit::Failed,
        };
        match status.message() {
            "" => Self::new(exit, format!("the hub answered {}", status.code())),
            message => Self::new(exit, message),
        }
    }
}

impl From<binnacle_wire::Refused> for Failure {
    fn from(refused: binnacle_wire::Refused) -> Self {
        Self::new(
            Exit::Failed,
            format!("the hub's answer cannot be read: {refused}"),
        )
        .hint("the hub may be of another release: `binnacle doctor` compares them")
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever read our output has read enough: `binnacle … | head` is no failure.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe {
            Exit::Ok
        } else {
            Exit::Failed
        };
        Self::new(exit, format!("cannot write the answer: {error}"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => io::Error::from(kind).into(),
            None => Self::new(Exit::Failed, format!("cannot write the answer: {error}")),
        }
    }
}
