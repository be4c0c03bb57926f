//! What can be done with an endpoint, or why it cannot: the same words and refusals as the
//! headless commands.

use binnacle_core::view::{EndpointItem, Reference, RevisionItem, RolloutItem, Verb, shown};

use super::words;
use crate::overlay::form::Deploying;
use crate::question::Wish;
use crate::question::endpoint::{Act, Deed, Steer, Wanted};
use crate::screen::{Action, Confirm, Doing, Look, Weight};

/// What is asked of the hub while it is not there, or of the past, would not be done.
fn now(doing: Result<Doing, String>, look: &Look<'_>) -> Result<Doing, String> {
    if look.at_us.is_some() {
        return Err("this is the past; esc comes back to now".into());
    }
    match look.data.is_live() {
        true => doing,
        false => Err("the hub is not connected".into()),
    }
}

fn action(key: char, words: &str, doing: Result<Doing, String>, look: &Look<'_>) -> Action {
    Action {
        key,
        words: words.into(),
        asks: now(doing, look),
    }
}

/// What can be done with an endpoint.
pub(in crate::screen) fn of_endpoint(row: Option<&EndpointItem>, look: &Look<'_>) -> Vec<Action> {
    let Some(row) = row else {
        return Vec::new();
    };
    let steer = |steer| match &row.rollout {
        None => Err("nothing is under way".to_owned()),
        Some(rollout) => steered(row, rollout, steer),
    };
    let back = Wanted::rollback(row.endpoint.clone(), None);
    let back = match &row.rollback {
        Some(_) => Ok(Doing::Plan(Box::new(back))),
        None => Err("no earlier revision was promoted: nothing to go back to".into()),
    };
    let deploy = match &row.rollout {
        None => Ok(Doing::Deploy(Box::new(Deploying {
            endpoint: Some(row.endpoint.clone()),
            version: None,
        }))),
        Some(rollout) => Err(format!(
            "it is on its way to rev {}: abort that, or wait",
            rollout.revision
        )),
    };
    let mut actions = vec![
        action('c', "confirm…", steer(Steer::Confirm), look),
        action('p', "pause…", steer(Steer::Pause), look),
        action('u', "resume…", steer(Steer::Resume), look),
        action('x', "abort…", steer(Steer::Abort), look),
        action('R', "roll back…", back, look),
        action('D', "deploy a version…", deploy, look),
    ];
    if let Some(rollout) = row
        .rollout
        .as_ref()
        .filter(|rollout| words::is_waiting(rollout))
    {
        let words = [('y', "approve…"), ('n', "reject…")].into_iter();
        let said = words.zip([Steer::Approve, Steer::Reject]);
        actions.splice(
            0..0,
            said.map(|((key, words), steer)| {
                action(key, words, answered(row, rollout, steer, look), look)
            }),
        );
    }
    actions
}

/// The question before somebody says yes or no to a plan, or why they may not.
fn answered(
    row: &EndpointItem,
    rollout: &RolloutItem,
    steer: Steer,
    look: &Look<'_>,
) -> Result<Doing, String> {
    if steer == Steer::Approve && *rollout.asked_by == *look.data.caller {
        return Err("you asked for it: another person has to approve it".into());
    }
    let revision = rollout.revision;
    let (title, weight) = match steer {
        Steer::Approve if row.protected => ("Approve", Weight::Name(row.endpoint.name.to_string())),
        Steer::Approve => ("Approve", Weight::Reason),
        Steer::Pause | Steer::Resume | Steer::Abort | Steer::Confirm | Steer::Reject => {
            ("Reject", Weight::Reason)
        }
    };
    let before = rollout.before.as_deref().unwrap_or("nothing");
    let path: Vec<&str> = rollout.path.iter().map(|step| &*step.what).collect();
    let have = rollout.approvals.as_ref();
    let facts = vec![
        ("environment", environment(row)),
        (
            "asked by",
            format!("{} {}", shown(&rollout.asked_by), shown(&rollout.asked_why)),
        ),
        (
            "route",
            format!("{} → {}", shown(before), shown(&rollout.after)),
        ),
        (
            "steps",
            format!("{} ({})", path.join(", "), rollout.strategy),
        ),
        ("touches", format!("{} hosts", row.hosts)),
        ("plan", rollout.plan.to_string().chars().take(16).collect()),
        (
            "approved",
            have.map_or_else(String::new, |it| format!("{} of {}", it.have, it.of)),
        ),
        ("reversible", "yes: a rollback, which asks nobody".into()),
    ];
    let title = format!("{title} {} rev {revision}", row.endpoint);
    Ok(confirm(
        title,
        facts,
        weight,
        (row, Act::Steer { revision, steer }),
    ))
}

/// What can be done with a revision of an endpoint, beside what can be done with that.
pub(super) fn of_revision(row: &EndpointItem, of: &RevisionItem, look: &Look<'_>) -> Action {
    let revision = of.revision;
    let doing = match &*of.fate {
        "promoted" if revision == row.live && row.rollout.is_none() => Err("it serves".to_owned()),
        "promoted" => {
            let wanted = Wanted::rollback(row.endpoint.clone(), Some(revision));
            Ok(Doing::Plan(Box::new(wanted)))
        }
        fate => Err(format!(
            "it is {}: it never served in full",
            fate.replace('_', " ")
        )),
    };
    action('b', &format!("back to rev {revision}…"), doing, look)
}

/// Lets a version come again.
pub(super) fn of_block(row: &EndpointItem, version: &Reference, look: &Look<'_>) -> Action {
    let blocked = row.blocked.iter().find(|block| block.version == *version);
    let doing = match blocked {
        None => Err("nothing keeps it away".to_owned()),
        Some(block) => Ok(confirm(
            format!("Let {version} come to {} again", row.endpoint),
            vec![
                ("rolled back", block.why.to_string()),
                ("what", "it may be deployed again; nothing is now".into()),
                ("reversible", "yes: a rollback blocks it again".into()),
            ],
            Weight::Reason,
            (row, Act::Lift(version.clone())),
        )),
    };
    action('l', &format!("lift {version}…"), doing, look)
}

fn confirm(
    title: String,
    facts: Vec<(&'static str, String)>,
    weight: Weight,
    (row, act): (&EndpointItem, Act),
) -> Doing {
    Doing::Confirm(Box::new(Confirm {
        title,
        facts,
        weight,
        wish: Wish::Endpoint(Box::new(Deed {
            endpoint: row.endpoint.clone(),
            act,
            reason: String::new(),
        })),
    }))
}

/// Whether a rollout can be steered so from where it is, or why it cannot.
fn may_be(rollout: &RolloutItem, steer: Steer) -> Result<(), String> {
    let is_rollback = match rollout.verb {
        Verb::Rollback(_) => true,
        Verb::Deploy => false,
    };
    let phase = words::phase(rollout);
    match (steer, &*rollout.phase) {
        (Steer::Abort, "awaiting_approval") => {}
        (_, "awaiting_approval") => return Err("it waits for approval".into()),
        (_, "rolling_back" | "aborting") => {
            return Err("hosts are on their way back already".into());
        }
        (Steer::Pause | Steer::Abort, _) if is_rollback => {
            return Err("a rollback runs to its end".into());
        }
        (Steer::Pause, "pausing" | "paused") => return Err("it is paused".into()),
        (Steer::Pause, "preparing") => return Err("nothing is switched yet: abort it".into()),
        (Steer::Pause, "confirming") => return Err("confirm it, or abort it".into()),
        (Steer::Resume, "pausing" | "paused") => {}
        (Steer::Resume, _) => return Err("it is not paused".into()),
        (Steer::Confirm, "confirming") => {}
        (Steer::Confirm, _) => {
            return Err(format!("it is {phase}: its last step comes first"));
        }
        (Steer::Pause | Steer::Abort, _) => {}
        (Steer::Approve | Steer::Reject, _) => return Err("it does not wait for approval".into()),
    }
    Ok(())
}

/// The question before a rollout is steered, or why that cannot be.
fn steered(row: &EndpointItem, rollout: &RolloutItem, steer: Steer) -> Result<Doing, String> {
    may_be(rollout, steer)?;
    let phase = words::phase(rollout);
    let (title, what, weight) = match steer {
        Steer::Pause => (
            "Pause",
            "hosts come to the step that it is at, and stand still",
            Weight::Reason,
        ),
        Steer::Resume => ("Resume", "it goes on from its step", Weight::Reason),
        Steer::Abort => (
            "Abort",
            "every host goes back to the route before",
            match row.protected {
                true => Weight::Name(row.endpoint.name.to_string()),
                false => Weight::Reason,
            },
        ),
        Steer::Confirm | Steer::Approve | Steer::Reject => (
            "Confirm",
            "what serves is kept: hosts go back no more by themselves",
            Weight::Reason,
        ),
    };
    let reversible = match steer {
        Steer::Pause => "yes: resume; held too long, it goes back by itself",
        Steer::Resume => "yes: pause",
        Steer::Abort => "no: deploy it again",
        Steer::Confirm | Steer::Approve | Steer::Reject => "yes: a rollback",
    };
    let hosts = format!(
        "{} of {} where they should be",
        rollout.confirmed, rollout.hosts
    );
    let revision = rollout.revision;
    let facts = vec![
        ("environment", environment(row)),
        ("rollout", format!("{}{phase}", words::step(rollout))),
        ("hosts", hosts),
        ("what", what.into()),
        ("reversible", reversible.into()),
    ];
    let title = format!("{title} {} rev {revision}", row.endpoint);
    Ok(confirm(
        title,
        facts,
        weight,
        (row, Act::Steer { revision, steer }),
    ))
}

fn environment(row: &EndpointItem) -> String {
    match row.protected {
        true => format!("{}, protected", row.endpoint.environment),
        false => row.endpoint.environment.to_string(),
    }
}
