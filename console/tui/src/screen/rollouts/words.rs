//! Endpoints and rollouts in words: the same on the list, on a page, in the strip, before a
//! rollback and after it.

use binnacle_core::view::{
    EndpointItem, EndpointName, Finding, Name, ProofItem, ReadinessItem, RolloutItem, Verb,
    Verdict, shown,
};

use crate::format;
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};

/// Text and what it means.
pub(crate) type Text = (String, Meaning);

/// Names that are told; the others are counted.
const NAMED: usize = 4;
/// Columns of a bar.
const BAR: i64 = 10;

/// How long a rollback takes, from what loads took.
pub(crate) fn eta(ms: Option<u64>) -> String {
    match ms {
        Some(0) => "0 s".into(),
        Some(ms @ ..10_000) => format!("~{:.1} s", ms as f64 / 1e3),
        Some(ms) => format!("~{} s", ms / 1_000),
        None => "nobody knows how long".into(),
    }
}

/// Whether an endpoint can go back: `3/3 warm · 0 s`, `2/3 warm, 1 cold ~4.0 s`.
pub(crate) fn readiness(ready: Option<&ReadinessItem>) -> Text {
    let Some(ready) = ready else {
        return ("nothing to go back to".into(), Meaning::Unknown);
    };
    let mut text = format!("{}/{} warm", ready.warm, ready.hosts);
    let cold = ready.hosts.saturating_sub(ready.warm + ready.silent);
    if cold > 0 {
        text.push_str(&format!(", {cold} cold"));
    }
    if ready.silent > 0 {
        text.push_str(&format!(", {} silent", ready.silent));
    }
    text.push_str(&match ready.eta_ms {
        Some(0) => " · 0 s".to_owned(),
        Some(ms) => format!(" {}", eta(Some(ms))),
        None => ", time unknown".into(),
    });
    let meaning = match (ready.warm == ready.hosts, ready.eta_ms) {
        (true, _) => Meaning::Ok,
        (false, Some(_)) => Meaning::Text,
        (false, None) => Meaning::Warn,
    };
    (text, meaning)
}

/// Whether people have to say yes before it begins.
pub(crate) fn is_waiting(rollout: &RolloutItem) -> bool {
    &*rollout.phase == "awaiting_approval"
}

/// Where a rollout is, in a word.
pub(crate) fn phase(rollout: &RolloutItem) -> String {
    shown(&rollout.phase.replace('_', " "))
}

/// Which step it is at, where it is at one.
pub(crate) fn step(rollout: &RolloutItem) -> String {
    match (rollout.step, rollout.steps) {
        (0, _) | (_, 0 | 1) => String::new(),
        (step, steps) => format!("step {step}/{steps} "),
    }
}

/// Whether it is on its way back, or will be.
pub(crate) fn is_bad(rollout: &RolloutItem) -> bool {
    let is_back = matches!(&*rollout.phase, "rolling_back" | "aborting");
    is_back || rollout.finding.as_ref().is_some_and(against)
}

/// Whether it stands and waits for somebody or something that may not come.
pub(crate) fn is_held(rollout: &RolloutItem) -> bool {
    matches!(&*rollout.phase, "judging" | "paused" | "confirming")
}

fn against(finding: &Finding) -> bool {
    finding.speaks_against()
}

/// What it means that a rollout is where it is.
pub(crate) fn meaning(rollout: &RolloutItem) -> Meaning {
    match (is_bad(rollout), is_held(rollout)) {
        (true, _) => Meaning::Crit,
        (false, true) => Meaning::Warn,
        (false, false) => Meaning::Accent,
    }
}

/// What is under way at an endpoint: `→ rev 41 step 2/5 baking`.
pub(crate) fn underway(rollout: &RolloutItem) -> Text {
    let text = format!(
        "→ rev {} {}{}",
        rollout.revision,
        step(rollout),
        phase(rollout)
    );
    (text, meaning(rollout))
}

/// The same in as few columns as there are in a table: `rev 41 2/5 baking`.
pub(crate) fn brief(rollout: &RolloutItem) -> Text {
    let step = match (rollout.step, rollout.steps) {
        (0, _) | (_, 0 | 1) => String::new(),
        (step, steps) => format!("{step}/{steps} "),
    };
    let text = format!("rev {} {step}{}", rollout.revision, phase(rollout));
    (text, meaning(rollout))
}

/// What has been decided about an endpoint that one has to know: blocks, and hosts that decided
/// for themselves.
pub(crate) fn remarks(row: &EndpointItem) -> Text {
    let mut words = Vec::new();
    let by_hand = row.overridden.iter().filter(|one| one.stands).count();
    if by_hand > 0 {
        words.push(format!("{by_hand} by hand"));
    }
    let mut blocked = row.blocked.iter().map(|block| block.version.to_string());
    if let Some(first) = blocked.next() {
        let more = blocked.count();
        words.push(match more {
            0 => format!("blocked {first}"),
            more => format!("blocked {first} +{more}"),
        });
    }
    let meaning = match by_hand {
        0 => Meaning::Quiet,
        _ => Meaning::Warn,
    };
    (words.join(", "), meaning)
}

/// Names of hosts, the first of them.
pub(crate) fn named<'a>(names: impl ExactSizeIterator<Item = &'a Name>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let names: Vec<&str> = names.take(NAMED).map(Name::as_str).collect();
    match more {
        0 => names.join(" "),
        more => format!("{} and {more} more", names.join(" ")),
    }
}

/// How long until a moment.
pub(crate) fn left(until_us: i64, now_us: i64) -> String {
    match until_us - now_us {
        ..=0 => "now".into(),
        left_us => format::age(left_us),
    }
}

/// How much of a span has passed: `▓▓▓░░░░░░░`.
pub(crate) fn bar(part: i64, whole: i64) -> String {
    let full = match whole {
        ..=0 => BAR,
        whole => (part.max(0) * BAR / whole).min(BAR),
    };
    let cell = |at| if at < full { '▓' } else { '░' };
    (0..BAR).map(cell).collect()
}

/// The dead man's switch: how long is left until hosts go back by themselves.
pub(crate) fn dead_man(rollout: &RolloutItem, now_us: i64) -> Option<Text> {
    let by_us = rollout.confirm_by_us.filter(|_| !rollout.is_over)?;
    let left_us = by_us - now_us;
    let text = match left_us {
        ..=0 => "not confirmed: hosts go back".into(),
        _ => format!("confirm within {}", left(by_us, now_us)),
    };
    let meaning = match left_us {
        ..=120_000_000 => Meaning::Crit,
        _ => Meaning::Warn,
    };
    Some((text, meaning))
}

/// How long it will take at the least from here: what is left of this step, and all later ones.
pub(crate) fn least_left_us(rollout: &RolloutItem, now_us: i64) -> i64 {
    let second = |bake_s: u32| i64::from(bake_s) * 1_000_000;
    let at = rollout.step.saturating_sub(1) as usize;
    let baked_us = match &*rollout.phase {
        "baking" => now_us - rollout.since_us,
        "judging" => i64::MAX,
        _ => 0,
    };
    let steps = rollout.path.iter().enumerate().skip(at);
    let left = steps.map(|(place, step)| match place == at {
        true => second(step.bake_s).saturating_sub(baked_us).max(0),
        false => second(step.bake_s),
    });
    left.sum()
}

/// What a verdict says, in a word.
pub(crate) fn verdict(finding: &Finding) -> Text {
    match finding.verdict {
        Verdict::Promote => ("pass".into(), Meaning::Ok),
        Verdict::Hold => ("hold".into(), Meaning::Warn),
        Verdict::RollBack => ("fail".into(), Meaning::Crit),
        Verdict::Inconclusive { seen, need } => {
            let (seen, need) = (format::count(seen), format::count(need));
            let text = format!("not enough data: {seen} of {need}");
            (text, Meaning::Unknown)
        }
    }
}

/// How a rollout ended, for whoever waited for it; `Err` where it is not what was wanted.
pub(crate) fn ending(rollout: &RolloutItem) -> Result<String, String> {
    let endpoint = &rollout.endpoint;
    let hosts = format!("{}/{} hosts", rollout.confirmed, rollout.hosts);
    let took_us = (rollout.since_us - rollout.at_us).max(0);
    let mut rest = match rollout.slowest_us {
        Some(us) => format!(", slowest switch {}", format::latency(Some(us as f64))),
        None => String::new(),
    };
    if !rollout.missing.is_empty() {
        let missing = named(rollout.missing.iter());
        rest.push_str(&format!("; {missing} not yet, as soon as they can"));
    }
    let revision = rollout.revision;
    match (&*rollout.phase, rollout.verb) {
        ("promoted", Verb::Rollback(to)) => Ok(format!(
            "rolled back {endpoint} to rev {to} on {hosts} in {}{rest}",
            format::latency(Some(took_us as f64))
        )),
        ("promoted", Verb::Deploy) => Ok(format!(
            "{endpoint} serves {} on {hosts}: rev {revision} is promoted{rest}",
            shown(&rollout.after)
        )),
        (phase, _) => Err(format!(
            "{endpoint} rev {revision} was {}: {}; {hosts}{rest}",
            phase.replace('_', " "),
            shown(&rollout.why)
        )),
    }
}

/// An endpoint's name as its short form and all of it: what is typed to confirm.
pub(crate) fn is_name(typed: &str, endpoint: &EndpointName) -> bool {
    let typed = typed.trim();
    typed == endpoint.name.as_str() || typed == endpoint.to_string()
}

/// The steps of a rollout, done, now and next: `✓ 5% 10m   ● 25% ▓▓▓░░░ 4m   ○ 100%`.
pub(crate) fn steps(rollout: &RolloutItem, now_us: i64) -> Line {
    use binnacle_core::view::Verb::{Deploy, Rollback};

    let mut line = Line::new();
    let is_promoted = &*rollout.phase == "promoted";
    let is_back = match rollout.verb {
        Deploy => rollout.step == 0 && &*rollout.phase != "preparing",
        Rollback(_) => false,
    };
    for (at, step) in rollout.path.iter().enumerate() {
        let at = at as u32 + 1;
        let bake = match step.bake_s {
            0 => String::new(),
            bake_s => format!(" {}", format::age(i64::from(bake_s) * 1_000_000)),
        };
        let (text, meaning) = match (is_promoted || at < rollout.step, at == rollout.step) {
            _ if is_back => (format!("○ {}{bake}", step.what), Meaning::Quiet),
            (true, _) => (format!("✓ {}{bake}", step.what), Meaning::Ok),
            (false, true) if step.bake_s > 0 && &*rollout.phase == "baking" => {
                let whole_us = i64::from(step.bake_s) * 1_000_000;
                let bar = bar(now_us - rollout.since_us, whole_us);
                let left = left(rollout.since_us + whole_us, now_us);
                let text = format!("● {}{bake} {bar} {left} left", step.what);
                (text, Meaning::Title)
            }
            (false, true) => (
                format!("● {}{bake} {}", step.what, phase(rollout)),
                Meaning::Title,
            ),
            (false, false) => (format!("○ {}{bake}", step.what), Meaning::Quiet),
        };
        line.push(piece(format!("{text}   "), meaning));
    }
    let needs_word = rollout.confirm_by_us.is_some() || &*rollout.phase == "confirming";
    if needs_word && !rollout.is_over {
        let (glyph, meaning) = match &*rollout.phase {
            "confirming" => ('●', Meaning::Title),
            _ => ('○', Meaning::Quiet),
        };
        line.push(piece(format!("{glyph} confirm"), meaning));
    }
    line
}

/// What a replay of recent inputs showed.
pub(crate) fn proof(proof: &ProofItem) -> Text {
    let inputs = proof.compared + proof.failed;
    if inputs == 0 {
        let why = proof.reasons.first();
        let why = why.map_or("no host keeps inputs", |why| why);
        return (format!("nothing to compare: {why}"), Meaning::Unknown);
    }
    let other = proof.compared.saturating_sub(proof.same_class);
    let share = other as f64 * 100.0 / inputs as f64;
    let failed = match proof.failed {
        0 => String::new(),
        failed => format!(", {} fail", format::count(failed)),
    };
    let text = format!(
        "{} inputs through {}, {}/{} hosts: {share:.1} % change class{failed}",
        format::count(inputs),
        proof.version,
        proof.answered,
        proof.hosts,
    );
    let meaning = match (proof.failed, other) {
        (0, 0) => Meaning::Ok,
        (0, _) => Meaning::Text,
        (_, _) => Meaning::Warn,
    };
    (text, meaning)
}
