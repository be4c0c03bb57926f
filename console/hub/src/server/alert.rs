//! What is asked of alerts: rows, changes, and why an endpoint is as it is.

use std::sync::Arc;

use binnacle_core::alert::{self, Alert};
use binnacle_core::endpoint::{self, Endpoint};
use binnacle_core::registry;
use binnacle_core::state::Input;
use binnacle_core::view::{AlertItem, RegistryObject};
use binnacle_proto::v1 as proto;
use binnacle_wire::alert::{WhyOf, command_from, why_of};
use binnacle_wire::registry::document_to;
use binnacle_wire::{Refused, endpoint as wire};
use tonic::{Request, Response, Status};

use crate::engine::{Published, Rejected};
use crate::identity;
use crate::server::Hub;
use crate::server::rejection::rejected;
use crate::why::Asker;

/// Rows of one answer: some megabytes.
const ROWS: usize = 1_000;
/// Endpoints of one model that are told why: nobody reads on.
const ENDPOINTS: usize = 20;

/// The service that consoles and pipelines ask.
#[derive(Clone, Debug)]
pub(crate) struct Alerts {
    pub(crate) hub: Arc<Hub>,
}

#[tonic::async_trait]
impl proto::alerts_server::Alerts for Alerts {
    async fn list(
        &self,
        request: Request<proto::AlertsRequest>,
    ) -> Result<Response<proto::AlertsResponse>, Status> {
        let asked = request.into_inner();
        let published = self.hub.engine.published();
        let now_us = self.hub.clock.now_us();
        let state = &published.state;
        let rows = rows(&published, &asked)?;
        let item = |alert: Arc<Alert>| document_to(&AlertItem::of(state, &alert, now_us)).into();
        let sinks = self.hub.board.items();
        Ok(Response::new(proto::AlertsResponse {
            rows: rows.into_iter().map(item).collect(),
            sinks: sinks.iter().map(|sink| document_to(sink).into()).collect(),
            as_of_us: now_us,
            sequence: state.sequence,
        }))
    }

    async fn change(
        &self,
        request: Request<proto::AlertCommand>,
    ) -> Result<Response<proto::AlertChanged>, Status> {
        let caller = identity::caller(&request);
        let asked = command_from(request.into_inner()).map_err(malformed)?;
        let input = Input::Asked {
            caller,
            why: asked.why,
            request: asked.request,
            condition: asked.condition,
        };
        let written = self.hub.engine.put(input).await.map_err(rejected)?;
        let entry = written.entries.last().map(|entry| entry.sequence);
        Ok(Response::new(proto::AlertChanged {
            sequence: entry.or(written.before).unwrap_or(0),
            changed: entry.is_some(),
        }))
    }

    async fn why(
        &self,
        request: Request<proto::WhyRequest>,
    ) -> Result<Response<proto::WhyResponse>, Status> {
        let of = why_of(&request.get_ref().of).map_err(malformed)?;
        let published = self.hub.engine.published();
        let now_us = self.hub.clock.now_us();
        let asker = Asker {
            published: &published,
            store: &self.hub.store,
            now_us,
        };
        let mut rows = Vec::new();
        for (endpoint, alert) in asked(&published, &of)? {
            let item = asker.why(&endpoint, alert.as_deref()).await;
            let item = item.map_err(|error| Status::unavailable(crate::engine::chain(&error)))?;
            rows.push(document_to(&item).into());
        }
        Ok(Response::new(proto::WhyResponse {
            rows,
            as_of_us: now_us,
        }))
    }
}

fn rows(published: &Published, asked: &proto::AlertsRequest) -> Result<Vec<Arc<Alert>>, Status> {
    let alerts = &published.state.alerts;
    if asked.alert > 0 {
        return Ok(vec![known(published, asked.alert)?]);
    }
    let endpoint = match asked.endpoint.as_str() {
        "" => None,
        name => {
            let name = wire::name(name).map_err(malformed)?;
            if published.state.endpoints.get(&name).is_none() {
                return Err(refused(endpoint::Refusal::Unknown(name)));
            }
            Some(name)
        }
    };
    let limit = match asked.limit as usize {
        0 => ROWS,
        limit => limit.min(ROWS),
    };
    let mut open: Vec<&Arc<Alert>> = alerts.open.values().collect();
    // The loudest first, then the oldest.
    open.sort_by_key(|alert| {
        let loudest = std::cmp::Reverse(alert.subject.severity());
        (loudest, alert.number)
    });
    let closed = alerts.closed.iter().rev().filter(|_| asked.closed);
    let is_wanted = |alert: &&Arc<Alert>| {
        let endpoint = endpoint.as_ref();
        endpoint.is_none_or(|endpoint| alert.endpoint == *endpoint)
    };
    let all = open.into_iter().chain(closed).filter(is_wanted);
    Ok(all.take(limit).cloned().collect())
}

/// Endpoints, and the alert that is meant where one is.
type Meant = Vec<(Arc<Endpoint>, Option<Arc<Alert>>)>;

fn asked(published: &Published, of: &WhyOf) -> Result<Meant, Status> {
    let state = &published.state;
    match of {
        WhyOf::Alert(number) => {
            let alert = known(published, *number)?;
            let endpoint = state.endpoints.get(&alert.endpoint);
            let endpoint = endpoint
                .ok_or_else(|| refused(endpoint::Refusal::Unknown(alert.endpoint.clone())))?;
            Ok(vec![(endpoint.clone(), Some(alert))])
        }
        WhyOf::Endpoint(name) => {
            let endpoint = state.endpoints.get(name);
            let endpoint =
                endpoint.ok_or_else(|| refused(endpoint::Refusal::Unknown(name.clone())))?;
            Ok(vec![(endpoint.clone(), None)])
        }
        WhyOf::Model(name) => {
            let has = |endpoint: &&Arc<Endpoint>| {
                let underway = endpoint.rollout.as_ref();
                let next = underway.map(|rollout| &rollout.plan.intent.after);
                let mut versions = endpoint.route().into_iter().chain(next);
                versions.any(|route| route.all_versions().any(|it| it.name == *name))
            };
            let mut endpoints: Vec<_> = state.endpoints.all.values().filter(has).collect();
            if endpoints.is_empty() {
                return Err(nowhere(published, name));
            }
            endpoints.sort_by_key(|endpoint| {
                let worst = state.alerts.worst(&endpoint.name);
                let loudest = worst.map(|alert| alert.subject.severity());
                (std::cmp::Reverse(loudest), endpoint.name.clone())
            });
            let some = endpoints.into_iter().take(ENDPOINTS);
            Ok(some.map(|endpoint| (endpoint.clone(), None)).collect())
        }
    }
}

/// A model that serves nowhere, or that there is not.
fn nowhere(published: &Published, name: &binnacle_core::name::Name) -> Status {
    let object = RegistryObject::Model(name.clone());
    match published.state.registry.models.contains_key(name) {
        true => Status::not_found(format!(
            "{name} serves at no endpoint; `binnacle endpoint list` shows what does"
        )),
        false => {
            let unknown = registry::command::unknown(object);
            rejected(Rejected::Refused(unknown.into()))
        }
    }
}

fn known(published: &Published, number: u64) -> Result<Arc<Alert>, Status> {
    let alert = published.state.alerts.get(number).cloned();
    alert.ok_or_else(|| {
        let unknown = alert::Refusal::Unknown(number);
        rejected(Rejected::Refused(unknown.into()))
    })
}

fn refused(refusal: endpoint::Refusal) -> Status {
    rejected(Rejected::Refused(refusal.into()))
}

fn malformed(refused: Refused) -> Status {
    Status::invalid_argument(refused.to_string())
}
