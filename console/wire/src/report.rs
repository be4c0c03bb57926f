//! Reports of agents, and what they say of the moment.

use std::sync::Arc;

use binnacle_core::report::{
    BootId, Light, Losses, Moment, Report, ServerHealth, VersionLights, Vitals,
};
use binnacle_core::series::MAX_UPSTREAM_NAME;
use binnacle_proto::v1 as proto;

use crate::{Refused, inputs, refuse, series};

/// Series in one report: an agent keeps 4,096 of each of the outcomes.
pub const MAX_SERIES: usize = 4_096 * 7;
/// Versions whose lights one report shows.
pub const MAX_VERSIONS: usize = 4_096;
/// Bytes kept of a server's reason: one line of a terminal, and some more.
const MAX_REASON: usize = 300;
/// The longest span that an agent adds windows up to.
const MAX_SPAN_MS: u32 = 60_000;

/// Reads and checks a report.
pub fn from_proto(report: proto::Report) -> Result<Report, Refused> {
    let boot = boot_from(&report.boot_id)?;
    let (first, last) = (report.first_sequence, report.last_sequence);
    if first == 0 || last < first {
        let what = format!("{first} to {last} is no range; sequences begin at 1");
        return Err(refuse("first_sequence", what));
    }
    if report.span_ms > MAX_SPAN_MS {
        let what = format!("{} is over {MAX_SPAN_MS}", report.span_ms);
        return Err(refuse("span_ms", what));
    }
    if report.series.len() > MAX_SERIES {
        let what = format!("{} entries, at most {MAX_SERIES}", report.series.len());
        return Err(refuse("series", what));
    }
    let series = report
        .series
        .into_iter()
        .map(series::from_proto)
        .collect::<Result<_, _>>()?;
    let moment = (report.sent_at_us != 0)
        .then(|| {
            Ok(Moment {
                sent_at_us: report.sent_at_us,
                vitals: report.vitals.map(vitals_from),
                server: report.server.map(server_from).transpose()?,
                losses: report.losses.map(losses_from).unwrap_or_default(),
            })
        })
        .transpose()?;
    let span_us = i64::from(report.span_ms).saturating_mul(1_000);
    let inputs = inputs::from_proto(report.inputs, report.start_us.saturating_add(span_us))?;
    Ok(Report {
        boot,
        first,
        last,
        start_us: report.start_us,
        span_ms: report.span_ms,
        series,
        in_flight: report.in_flight,
        moment,
        inputs,
    })
}

/// Reads a boot id.
pub fn boot_from(bytes: &[u8]) -> Result<BootId, Refused> {
    let what = || refuse("boot_id", format!("has {} bytes, not 16", bytes.len()));
    Ok(BootId(bytes.try_into().map_err(|_| what())?))
}

pub(crate) fn vitals_from(vitals: proto::Vitals) -> Vitals {
    Vitals {
        cpu_permille: vitals.cpu_permille,
        cores: vitals.cores,
        memory_used: vitals.memory_used,
        memory_total: vitals.memory_total,
        disk_used: vitals.disk_used,
        disk_total: vitals.disk_total,
        network_received_per_s: vitals.network_received_per_s,
        network_sent_per_s: vitals.network_sent_per_s,
        agent_memory: vitals.agent_memory,
        server_memory: vitals.server_memory,
    }
}

pub(crate) fn vitals_to(vitals: &Vitals) -> proto::Vitals {
    proto::Vitals {
        cpu_permille: vitals.cpu_permille,
        cores: vitals.cores,
        memory_used: vitals.memory_used,
        memory_total: vitals.memory_total,
        disk_used: vitals.disk_used,
        disk_total: vitals.disk_total,
        network_received_per_s: vitals.network_received_per_s,
        network_sent_per_s: vitals.network_sent_per_s,
        agent_memory: vitals.agent_memory,
        server_memory: vitals.server_memory,
    }
}

pub(crate) fn losses_from(losses: proto::Losses) -> Losses {
    Losses {
        spool_windows: losses.spool_windows,
        spool_requests: losses.spool_requests,
        series_overflow: losses.series_overflow,
        log_lines: losses.log_lines,
        tap_bodies: losses.tap_bodies,
        spooled_windows: losses.spooled_windows,
        spooled_bytes: losses.spooled_bytes,
        spool_write_failures: losses.spool_write_failures,
    }
}

pub(crate) fn losses_to(losses: &Losses) -> proto::Losses {
    proto::Losses {
        spool_windows: losses.spool_windows,
        spool_requests: losses.spool_requests,
        series_overflow: losses.series_overflow,
        log_lines: losses.log_lines,
        tap_bodies: losses.tap_bodies,
        spooled_windows: losses.spooled_windows,
        spooled_bytes: losses.spooled_bytes,
        spool_write_failures: losses.spool_write_failures,
    }
}

pub(crate) fn server_from(server: proto::ServerHealth) -> Result<ServerHealth, Refused> {
    if server.versions.len() > MAX_VERSIONS {
        let what = format!("{} entries, at most {MAX_VERSIONS}", server.versions.len());
        return Err(refuse("server.versions", what));
    }
    Ok(ServerHealth {
        upstream: cut(server.upstream),
        process: light_from(server.process),
        reason: cut(server.reason),
        versions: server
            .versions
            .into_iter()
            .map(lights_from)
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn server_to(server: &ServerHealth) -> proto::ServerHealth {
    let lights = |version: &VersionLights| proto::VersionLights {
        model: version.model.to_string(),
        version: version.version.to_string(),
        loaded: light_to(version.loaded).into(),
        answers: light_to(version.answers).into(),
        correct: light_to(version.correct).into(),
        reason: version.reason.to_string(),
    };
    proto::ServerHealth {
        upstream: server.upstream.to_string(),
        process: light_to(server.process).into(),
        reason: server.reason.to_string(),
        versions: server.versions.iter().map(lights).collect(),
    }
}

fn lights_from(version: proto::VersionLights) -> Result<VersionLights, Refused> {
    if version.model.len().max(version.version.len()) > MAX_UPSTREAM_NAME {
        let what = format!("a name has over {MAX_UPSTREAM_NAME} bytes");
        return Err(refuse("server.versions", what));
    }
    Ok(VersionLights {
        model: version.model.into(),
        version: version.version.into(),
        loaded: light_from(version.loaded),
        answers: light_from(version.answers),
        correct: light_from(version.correct),
        reason: cut(version.reason),
    })
}

fn light_from(light: i32) -> Light {
    match proto::Light::try_from(light) {
        Ok(proto::Light::On) => Light::On,
        Ok(proto::Light::Off) => Light::Off,
        Ok(proto::Light::Unspecified) | Err(_) => Light::Unknown,
    }
}

fn light_to(light: Light) -> proto::Light {
    match light {
        Light::On => proto::Light::On,
        Light::Off => proto::Light::Off,
        Light::Unknown => proto::Light::Unspecified,
    }
}

/// A long reason is cut rather than refused: it is for reading only.
fn cut(mut text: String) -> Arc<str> {
    if text.len() > MAX_REASON {
        text.truncate(text.floor_char_boundary(MAX_REASON));
        text.push('…');
    }
    text.into()
}
