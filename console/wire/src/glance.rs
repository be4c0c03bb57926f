//! Hosts at a glance, and their past.

use binnacle_core::name::Name;
use binnacle_core::view::{CELL_BYTES, Cell, Glance, Glances, History, Labels, Status};
use binnacle_proto::v1 as proto;

use crate::{Refused, refuse};

/// Reads what a console is told of the fleet.
pub fn from_proto(update: proto::GlanceUpdate) -> Result<Glances, Refused> {
    let hosts = update.hosts.into_iter().map(host_from);
    Ok(Glances {
        as_of_us: update.as_of_us,
        minute_us: (update.minute_us != 0).then_some(update.minute_us),
        is_whole: update.whole,
        hosts: hosts.collect::<Result<_, _>>()?,
    })
}

/// What a console is told of the fleet, to send.
pub fn to_proto(glances: &Glances) -> proto::GlanceUpdate {
    proto::GlanceUpdate {
        as_of_us: glances.as_of_us,
        minute_us: glances.minute_us.unwrap_or_default(),
        whole: glances.is_whole,
        hosts: glances.hosts.iter().map(host_to).collect(),
    }
}

fn host_from(host: proto::HostGlance) -> Result<Glance, Refused> {
    let name = |field, text: &str| Name::parse(text).map_err(|error| refuse(field, error));
    Ok(Glance {
        host: name("host", &host.host)?.shared(),
        environment: name("environment", &host.environment)?.shared(),
        labels: Labels::parse(host.labels).map_err(|error| refuse("labels", error))?,
        status: match proto::HostStatus::try_from(host.status) {
            Ok(proto::HostStatus::Ok) => Status::Ok,
            Ok(proto::HostStatus::Retired) => Status::Retired,
            Ok(proto::HostStatus::Silent) => Status::Silent,
            Ok(proto::HostStatus::Warn) => Status::Warn,
            Ok(proto::HostStatus::Crit) => Status::Crit,
            Ok(proto::HostStatus::Unspecified) | Err(_) => {
                return Err(refuse("status", format!("{} is no status", host.status)));
            }
        },
        since_us: (host.since_us != 0).then_some(host.since_us),
        reason: host.reason.into(),
        cell: cell_from(&host.cell)?,
    })
}

fn host_to(glance: &Glance) -> proto::HostGlance {
    let labels = glance.labels.iter();
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let status = match glance.status {
        Status::Ok => proto::HostStatus::Ok,
        Status::Retired => proto::HostStatus::Retired,
        Status::Silent => proto::HostStatus::Silent,
        Status::Warn => proto::HostStatus::Warn,
        Status::Crit => proto::HostStatus::Crit,
    };
    proto::HostGlance {
        host: glance.host.to_string(),
        environment: glance.environment.to_string(),
        labels: labels.collect(),
        status: status.into(),
        since_us: glance.since_us.unwrap_or_default(),
        reason: glance.reason.to_string(),
        cell: glance.cell.to_bytes().to_vec().into(),
    }
}

fn cell_from(bytes: &[u8]) -> Result<Cell, Refused> {
    let cell = bytes.try_into().map(Cell::from_bytes);
    cell.map_err(|_| refuse("cell", format!("{} bytes, not {CELL_BYTES}", bytes.len())))
}

/// Reads hosts' past.
pub fn history_from(answer: proto::HistoryResponse) -> Result<History, Refused> {
    let hosts = answer.hosts.into_iter().map(|host| {
        let (cells, rest) = host.cells.as_chunks::<CELL_BYTES>();
        let known = host.known.iter().filter(|&&known| known != 0).count();
        if known != cells.len() || !rest.is_empty() {
            let what = format!("{} bytes for {known} columns", host.cells.len());
            return Err(refuse("cells", what));
        }
        let mut cells = cells.iter().map(|bytes| Cell::from_bytes(*bytes));
        let column = |&known: &u8| if known == 0 { None } else { cells.next() };
        Ok((host.host.into(), host.known.iter().map(column).collect()))
    });
    Ok(History {
        as_of_us: answer.as_of_us,
        from_us: answer.from_us,
        step_s: answer.step_s,
        hosts: hosts.collect::<Result<_, _>>()?,
    })
}

/// Hosts' past, to send.
pub fn history_to(history: &History) -> proto::HistoryResponse {
    let hosts = history.hosts.iter().map(|(host, cells)| {
        let known: Vec<u8> = cells.iter().map(|cell| u8::from(cell.is_some())).collect();
        let cells: Vec<u8> = cells
            .iter()
            .flatten()
            .flat_map(|cell| cell.to_bytes())
            .collect();
        proto::HostHistory {
            host: host.to_string(),
            known: known.into(),
            cells: cells.into(),
        }
    });
    proto::HistoryResponse {
        as_of_us: history.as_of_us,
        from_us: history.from_us,
        step_s: history.step_s,
        hosts: hosts.collect(),
    }
}
