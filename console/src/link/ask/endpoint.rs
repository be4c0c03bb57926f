//! What the console asks of endpoints and rollouts, and has done there.

use std::sync::Arc;

use binnacle_core::endpoint::{NotARoute, Spoken};
use binnacle_core::rollout::{Ask, Want};
use binnacle_core::view::{EndpointName, shown};
use binnacle_proto::v1 as proto;
use binnacle_tui::question::endpoint::{
    self as tui, Act, Deed, Inquiry, Steer, Told, UNDERWAY_MAX, Wanted,
};
use binnacle_tui::question::{Answer, Refused};
use binnacle_wire::registry::{document_from, document_to};
use proto::endpoint_command::Command;
use serde::de::DeserializeOwned;
use tonic::Code;

use super::{Live, Refusal, refused, unreadable, unsure};

impl Live {
    pub(super) async fn inquired(&self, inquiry: &Inquiry) -> Result<Answer, Refusal> {
        let noun = |noun: proto::EndpointNoun, endpoint: String| proto::EndpointsRequest {
            noun: noun.into(),
            endpoint,
            ..Default::default()
        };
        use proto::EndpointNoun::{Endpoints, Revisions, Rollouts};
        let told = match inquiry {
            Inquiry::All => Told::Endpoints(self.rows(noun(Endpoints, String::new())).await?),
            Inquiry::AllAt(at_us) => {
                let asked = proto::EndpointsRequest {
                    at_us: *at_us,
                    ..noun(Endpoints, String::new())
                };
                Told::Endpoints(self.rows(asked).await?)
            }
            Inquiry::OneAt(name, at_us) => {
                let asked = proto::EndpointsRequest {
                    at_us: *at_us,
                    ..noun(Endpoints, name.to_string())
                };
                Told::Endpoints(self.rows(asked).await?)
            }
            Inquiry::One(name) => {
                Told::Endpoints(self.rows(noun(Endpoints, name.to_string())).await?)
            }
            Inquiry::Revisions(name) => {
                Told::Revisions(self.rows(noun(Revisions, name.to_string())).await?)
            }
            Inquiry::Rollout(name, revision) => {
                let asked = proto::EndpointsRequest {
                    revision: *revision,
                    ..noun(Rollouts, name.to_string())
                };
                Told::Rollouts(self.rows(asked).await?)
            }
            Inquiry::Underway => {
                let asked = proto::EndpointsRequest {
                    underway: true,
                    limit: UNDERWAY_MAX,
                    ..noun(Rollouts, String::new())
                };
                Told::Rollouts(self.rows(asked).await?)
            }
            Inquiry::Plan(wanted) => self.planned(wanted).await?,
            Inquiry::Proof(name, _) => self.proved(name).await?,
        };
        Ok(Answer::Endpoints(told))
    }

    async fn rows<T: DeserializeOwned>(
        &self,
        asked: proto::EndpointsRequest,
    ) -> Result<Arc<[T]>, Refusal> {
        let answered = self.link.endpoints().list(self.link.question(asked)).await;
        let answer = answered.map_err(refused)?.into_inner();
        let rows = answer.rows.iter();
        rows.map(|row| document_from("row", row).map_err(unreadable))
            .collect()
    }

    async fn planned(&self, wanted: &Wanted) -> Result<Told, Refusal> {
        let asked = proto::PlanRequest {
            ask: document_to(&ask(wanted)?).into(),
        };
        let answered = self.link.endpoints().plan(self.link.question(asked)).await;
        let planned = answered.map_err(refused)?.into_inner();
        let item = document_from("document", &planned.document).map_err(unreadable)?;
        Ok(Told::Plan(Arc::new(item)))
    }

    async fn proved(&self, name: &EndpointName) -> Result<Told, Refusal> {
        let asked = proto::ProveRequest {
            endpoint: name.to_string(),
            ..Default::default()
        };
        let answered = self.link.endpoints().prove(self.link.question(asked)).await;
        let proved = answered.map_err(refused)?.into_inner();
        let item = document_from("document", &proved.document).map_err(unreadable)?;
        Ok(Told::Proof(Arc::new(item)))
    }

    /// Has something done with an endpoint.
    pub(super) async fn deed(&self, deed: &Deed) -> Result<String, Refused> {
        let asked = proto::EndpointCommand {
            why: deed.reason.clone(),
            command: Some(command(deed)),
            ..Default::default()
        };
        let mut endpoints = self.link.endpoints();
        let answered = endpoints.change(self.link.question(asked)).await;
        let changed = answered.map_err(|status| Refused {
            is_conflict: status.code() == Code::Aborted,
            why: unsure(status),
        })?;
        let changed = changed.into_inner();
        let endpoint = shown(&deed.endpoint.to_string());
        Ok(match changed.changed {
            true => format!("{endpoint} {}: journal {}", done(deed), changed.sequence),
            false => format!("{endpoint} was so already: nothing was written"),
        })
    }
}

/// What is done, in words.
fn done(deed: &Deed) -> String {
    match &deed.act {
        Act::Run { wanted, plan } => match wanted.is_rollback() {
            true => "rolls back".into(),
            false => format!("is on its way to rev {}", plan.intent.base + 1),
        },
        Act::Steer { revision, steer } => match steer {
            Steer::Pause => format!("pauses on its way to rev {revision}"),
            Steer::Resume => format!("goes on to rev {revision}"),
            Steer::Abort => format!("goes back: rev {revision} is given up"),
            Steer::Confirm => format!("keeps rev {revision}"),
            Steer::Approve => format!("rev {revision} has your yes"),
            Steer::Reject => format!("rev {revision} is rejected"),
        },
        Act::Lift(version) => format!("may have {version} again"),
    }
}

fn ask(wanted: &Wanted) -> Result<Ask, Refusal> {
    let strategy = match &*wanted.strategy {
        "" => None,
        text => {
            let strategy: Result<_, binnacle_core::rollout::strategy::NotAStrategy> = text.parse();
            Some(strategy.map_err(|error| error.to_string())?)
        }
    };
    let (want, keeps_sticky) = match &wanted.want {
        tui::Want::Rollback(to) => (Want::Rollback(*to), false),
        tui::Want::Deploy(route) => {
            let spoken: Result<Spoken, NotARoute> = route.parse();
            let spoken = spoken.map_err(|error| error.to_string())?;
            (Want::Deploy(spoken.route), spoken.keeps_sticky)
        }
    };
    Ok(Ask {
        endpoint: wanted.endpoint.clone(),
        want,
        keeps_sticky,
        strategy,
        confirm_within_s: wanted.confirm_within_s,
    })
}

fn command(deed: &Deed) -> Command {
    let endpoint = deed.endpoint.to_string();
    match &deed.act {
        Act::Run { plan, .. } => Command::Run(document_to(&**plan).into()),
        Act::Steer { revision, steer } => {
            let steer = match steer {
                Steer::Pause => proto::Steer::Pause,
                Steer::Resume => proto::Steer::Resume,
                Steer::Abort => proto::Steer::Abort,
                Steer::Confirm => proto::Steer::Confirm,
                Steer::Approve => proto::Steer::Approve,
                Steer::Reject => proto::Steer::Reject,
            };
            Command::Steer(proto::SteerRollout {
                endpoint,
                revision: *revision,
                steer: steer.into(),
            })
        }
        Act::Lift(version) => Command::Lift(proto::LiftBlock {
            endpoint,
            version: version.to_string(),
        }),
    }
}
