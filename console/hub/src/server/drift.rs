//! What is asked of watched inputs: rows, what moved, and that what is measured is normal.

use std::sync::Arc;

use binnacle_core::alert::Command;
use binnacle_core::registry::Line;
use binnacle_core::state::{Condition, Input, Request as Asked};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_to;
use binnacle_wire::{Refused, endpoint as wire};
use serde::Serialize;
use tonic::{Request, Response, Status};

use crate::drift::{Of, Stopping};
use crate::identity;
use crate::server::Hub;
use crate::server::rejection::rejected;

/// The service that consoles and pipelines ask.
#[derive(Clone, Debug)]
pub(crate) struct Drift {
    pub(crate) hub: Arc<Hub>,
}

#[tonic::async_trait]
impl proto::drift_server::Drift for Drift {
    async fn list(
        &self,
        request: Request<proto::DriftRequest>,
    ) -> Result<Response<proto::DriftResponse>, Status> {
        let rows = self.hub.drift.list(of(request)?).await;
        self.answer(&rows.map_err(stopping)?)
    }

    async fn show(
        &self,
        request: Request<proto::DriftRequest>,
    ) -> Result<Response<proto::DriftResponse>, Status> {
        let rows = self.hub.drift.show(of(request)?).await;
        self.answer(&rows.map_err(stopping)?)
    }

    async fn explain(
        &self,
        request: Request<proto::DriftRequest>,
    ) -> Result<Response<proto::DriftResponse>, Status> {
        let rows = self.hub.drift.explain(of(request)?).await;
        self.answer(&rows.map_err(stopping)?)
    }

    async fn rebaseline(
        &self,
        request: Request<proto::RebaselineRequest>,
    ) -> Result<Response<proto::RebaselineResponse>, Status> {
        let caller = identity::caller(&request);
        let asked = request.into_inner();
        let endpoint = wire::name(&asked.endpoint).map_err(malformed)?;
        let key = match asked.key.is_empty() {
            true => None,
            false => {
                let line = Line::parse(&asked.key);
                Some(line.map_err(|error| Status::invalid_argument(format!("key: {error}")))?)
            }
        };
        let input = Input::Asked {
            caller,
            why: asked.why,
            request: Asked::Alert(Command::Rebaseline(endpoint)),
            condition: Condition {
                if_revision: None,
                key,
            },
        };
        let written = self.hub.engine.put(input).await.map_err(rejected)?;
        let entry = written.entries.last().map(|entry| entry.sequence);
        Ok(Response::new(proto::RebaselineResponse {
            sequence: entry.or(written.before).unwrap_or(0),
            changed: entry.is_some(),
        }))
    }
}

impl Drift {
    fn answer(&self, rows: &[impl Serialize]) -> Result<Response<proto::DriftResponse>, Status> {
        Ok(Response::new(proto::DriftResponse {
            rows: rows.iter().map(|row| document_to(row).into()).collect(),
            as_of_us: self.hub.clock.now_us(),
        }))
    }
}

fn of(request: Request<proto::DriftRequest>) -> Result<Of, Status> {
    let asked = request.into_inner();
    let endpoint = match asked.endpoint.as_str() {
        "" => None,
        name => Some(wire::name(name).map_err(malformed)?),
    };
    let version = match asked.version.as_str() {
        "" => None,
        version => {
            let parsed = version.parse();
            Some(parsed.map_err(|error| Status::invalid_argument(format!("version: {error}")))?)
        }
    };
    let span_us = match (asked.from_us, asked.to_us) {
        (0, 0) => None,
        (from_us, to_us) if from_us < to_us => Some((from_us, to_us)),
        (_, _) => return Err(Status::invalid_argument("from_us is not before to_us")),
    };
    Ok(Of {
        endpoint,
        version,
        span_us,
    })
}

fn malformed(refused: Refused) -> Status {
    Status::invalid_argument(refused.to_string())
}

fn stopping(stopping: Stopping) -> Status {
    Status::unavailable(stopping.to_string())
}
