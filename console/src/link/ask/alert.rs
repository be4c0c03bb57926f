//! What the console asks of alerts, and has done about them.

use std::sync::Arc;

use binnacle_proto::v1 as proto;
use binnacle_tui::question::alert::{Act, Deed, Inquiry, Told};
use binnacle_tui::question::{Answer, Refused};
use binnacle_wire::registry::document_from;
use proto::alert_command::Command;
use serde::de::DeserializeOwned;
use tonic::Code;

use super::{Live, Refusal, refused, unreadable, unsure};

/// Alerts that a screen holds: those that are open, and the last that are not.
const ALERTS_MAX: u32 = 300;

impl Live {
    pub(super) async fn alerted(&self, inquiry: &Inquiry) -> Result<Answer, Refusal> {
        let mut alerts = self.link.alerts();
        let asked = match inquiry {
            Inquiry::All => proto::AlertsRequest {
                closed: true,
                limit: ALERTS_MAX,
                ..Default::default()
            },
            Inquiry::One(number) => proto::AlertsRequest {
                alert: *number,
                ..Default::default()
            },
            Inquiry::Why(number) => {
                let of = number.to_string();
                let asked = self.link.question(proto::WhyRequest { of });
                let answer = alerts.why(asked).await.map_err(refused)?.into_inner();
                return Ok(Answer::Alerts(Told::Why(read(&answer.rows)?)));
            }
        };
        let answered = alerts.list(self.link.question(asked)).await;
        let answer = answered.map_err(refused)?.into_inner();
        Ok(Answer::Alerts(Told::Alerts {
            rows: read(&answer.rows)?,
            sinks: read(&answer.sinks)?,
        }))
    }

    /// Has something done about an alert.
    pub(super) async fn about_alert(&self, deed: &Deed) -> Result<String, Refused> {
        let command = match deed.act {
            Act::Acknowledge => Command::Acknowledge(deed.alert),
            Act::Silence(seconds) => Command::Silence(proto::SilenceAlert {
                alert: deed.alert,
                endpoint: String::new(),
                seconds,
            }),
        };
        let asked = proto::AlertCommand {
            why: deed.reason.clone(),
            command: Some(command),
            ..Default::default()
        };
        let answered = self.link.alerts().change(self.link.question(asked)).await;
        let changed = answered.map_err(|status| Refused {
            is_conflict: status.code() == Code::Aborted,
            why: unsure(status),
        })?;
        let changed = changed.into_inner();
        let alert = deed.alert;
        let is = match deed.act {
            Act::Acknowledge => "is known to you",
            Act::Silence(0) => "is no longer silenced",
            Act::Silence(_) => "is silenced",
        };
        Ok(match changed.changed {
            true => format!("alert {alert} {is}: journal {}", changed.sequence),
            false => format!("alert {alert} was so already: nothing was written"),
        })
    }
}

fn read<T: DeserializeOwned>(rows: &[impl AsRef<[u8]>]) -> Result<Arc<[T]>, Refusal> {
    let rows = rows.iter();
    rows.map(|row| document_from("row", row.as_ref()).map_err(unreadable))
        .collect()
}
