//! What a host says when it dials, and what it is told to do.

use binnacle_core::host::{Admission, Labels};
use binnacle_core::name::Name;
use binnacle_core::state::{Assignment, Duty, Greeting};
use binnacle_proto::v1 as proto;

use crate::{Refused, refuse, report, served};

/// Bytes in a release's name or an attachment.
const MAX_WORD: usize = 64;

/// Reads and checks a Hello; the protocol range is the server's to judge.
pub fn from_proto(hello: &proto::Hello) -> Result<Greeting, Refused> {
    let name = |field, text: &str| Name::parse(text).map_err(|error| refuse(field, error));
    let labels = hello.labels.clone();
    let word = |field, text: &str| {
        if text.len() <= MAX_WORD && text.chars().all(|letter| !letter.is_control()) {
            Ok(text.into())
        } else {
            Err(refuse(
                field,
                format!("is not at most {MAX_WORD} bytes of printable text"),
            ))
        }
    };
    Ok(Greeting {
        admission: Admission {
            host: name("host", &hello.host)?,
            environment: name("environment", &hello.environment)?,
            labels: Labels::parse(labels).map_err(|error| refuse("labels", error))?,
        },
        boot: report::boot_from(&hello.boot_id)?,
        generation: hello.generation,
        agent_version: word("agent_version", &hello.agent_version)?,
        attachment: word("attachment", &hello.attachment)?,
    })
}

/// What a host is told to do.
pub fn assignment_to(assignment: &Assignment) -> proto::Assignment {
    let (leave, draining, reason) = match &assignment.duty {
        Duty::Serve => (false, false, String::new()),
        Duty::Drain(why) => (false, true, why.to_string()),
        Duty::Leave(why) => (true, false, why.to_string()),
    };
    let mut wanted = proto::Assignment {
        generation: assignment.generation,
        leave,
        draining,
        reason,
        ..proto::Assignment::default()
    };
    served::work_to(&assignment.work, &mut wanted);
    wanted
}
