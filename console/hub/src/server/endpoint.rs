//! What is asked of endpoints and rollouts: changes, plans, rows, and what becomes of one.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::endpoint::{Endpoint, Refusal};
use binnacle_core::journal::Change;
use binnacle_core::observed::StreamId;
use binnacle_core::registry::Reference;
use binnacle_core::rollout::{Plan, plan, readiness, tick};
use binnacle_core::served::Nearness;
use binnacle_core::state::{self, Input};
use binnacle_core::view::{
    EndpointItem, PlanItem, ReadinessItem, RevisionItem, RolloutItem, step_in_words,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_to;
use binnacle_wire::{Refused, endpoint as wire};
use tonic::{Request, Response, Status};

use crate::engine::{Published, Rejected, Written};
use crate::identity;
use crate::server::Hub;
use crate::server::rejection::rejected;

/// Rows of one answer: some megabytes.
const ROWS: usize = 1_000;
/// Hosts that replay inputs for one question: enough to see a difference.
const PROVING: usize = 10;
/// Inputs that each of them replays unless somebody says, and at most.
const REPLAYED: u32 = 32;
const REPLAYED_MOST: u32 = 1_000;
/// How often a watcher is told at most: the eye follows no faster.
const EVERY: Duration = Duration::from_millis(250);
/// Of so many hosts more, what they do is looked at a beat later: a look goes through them all.
/// What is decided is told at the next beat whatever their number.
const HOSTS_A_BEAT: usize = 1_000;

/// The service that consoles and pipelines ask.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) hub: Arc<Hub>,
}

type Rows = Pin<Box<dyn futures::Stream<Item = Result<proto::EndpointsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl proto::endpoints_server::Endpoints for Endpoints {
    type WatchStream = Rows;

    async fn change(
        &self,
        request: Request<proto::EndpointCommand>,
    ) -> Result<Response<proto::EndpointChanged>, Status> {
        let caller = identity::caller(&request);
        let asked = wire::command_from(request.into_inner()).map_err(malformed)?;
        let input = Input::Asked {
            caller,
            why: asked.why,
            request: asked.request,
            condition: asked.condition,
        };
        if asked.is_dry_run {
            return Ok(Response::new(self.decided(&input)?));
        }
        let written = self.hub.engine.put(input).await.map_err(rejected)?;
        Ok(Response::new(self.changed(&written).await?))
    }

    async fn plan(
        &self,
        request: Request<proto::PlanRequest>,
    ) -> Result<Response<proto::PlanResponse>, Status> {
        let ask = wire::ask_from(request.get_ref()).map_err(malformed)?;
        let published = self.hub.engine.published();
        let (state, now_us) = (&published.state, self.hub.clock.now_us());
        let plan = Plan::make(state, &ask, now_us).map_err(refused)?;
        let endpoint = state.endpoints.get(&ask.endpoint);
        let endpoint = endpoint.ok_or_else(|| refused(Refusal::Unknown(ask.endpoint.clone())))?;
        let item = planned(&published, endpoint, plan);
        Ok(Response::new(proto::PlanResponse {
            document: document_to(&item).into(),
            as_of_us: now_us,
        }))
    }

    async fn list(
        &self,
        request: Request<proto::EndpointsRequest>,
    ) -> Result<Response<proto::EndpointsResponse>, Status> {
        let asked = request.into_inner();
        let published = self.hub.engine.published();
        let rows = rows(&published, &asked, self.hub.clock.now_us())?;
        Ok(Response::new(self.answer(&published, rows)))
    }

    async fn prove(
        &self,
        request: Request<proto::ProveRequest>,
    ) -> Result<Response<proto::ProveResponse>, Status> {
        let asked = request.into_inner();
        let name = wire::name(&asked.endpoint).map_err(malformed)?;
        let published = self.hub.engine.published();
        let endpoint = published.state.endpoints.get(&name);
        let endpoint = endpoint.ok_or_else(|| refused(Refusal::Unknown(name.clone())))?;
        let version = match asked.version.as_str() {
            "" => proving(endpoint).ok_or_else(|| refused(Refusal::NothingToRollBackTo(name)))?,
            text => text
                .parse::<Reference>()
                .map_err(|error| Status::invalid_argument(format!("version: {error}")))?,
        };
        let hosts = ready(&published, endpoint, &version);
        if hosts.is_empty() {
            let what = format!(
                "no host of {} that is heard has {version} ready; deploy it first, or keep it warm",
                endpoint.name
            );
            return Err(Status::failed_precondition(what));
        }
        let most = match asked.most {
            0 => REPLAYED,
            most => most.min(REPLAYED_MOST),
        };
        let proofs = &self.hub.proofs;
        let item = proofs.ask(&hosts, &endpoint.name, &version, most).await;
        Ok(Response::new(proto::ProveResponse {
            document: document_to(&item).into(),
            as_of_us: self.hub.clock.now_us(),
        }))
    }

    async fn watch(
        &self,
        request: Request<proto::WatchEndpointRequest>,
    ) -> Result<Response<Rows>, Status> {
        let asked = request.into_inner();
        let asked = proto::EndpointsRequest {
            noun: match asked.revision {
                0 => proto::EndpointNoun::Endpoints.into(),
                _ => proto::EndpointNoun::Rollouts.into(),
            },
            endpoint: asked.endpoint,
            revision: asked.revision,
            ..Default::default()
        };
        rows(
            &self.hub.engine.published(),
            &asked,
            self.hub.clock.now_us(),
        )?;
        let beat = tokio::time::interval(EVERY);
        let start = (self.clone(), asked, beat, (Vec::new(), Looked::default()));
        let told = futures::stream::try_unfold(
            start,
            |(this, asked, mut beat, (last, mut looked))| async move {
                loop {
                    tokio::select! {
                        _ = beat.tick() => {}
                        () = this.hub.stopped() => {
                            return Err(Status::unavailable("the hub is stopping"));
                        }
                    }
                    let published = this.hub.engine.published();
                    if !looked.is_due(&published, this.hub.clock.elapsed_us()) {
                        continue;
                    }
                    let rows = rows(&published, &asked, this.hub.clock.now_us())?;
                    if rows != last {
                        let answer = this.answer(&published, rows.clone());
                        return Ok(Some((answer, (this, asked, beat, (rows, looked)))));
                    }
                }
            },
        );
        Ok(Response::new(Box::pin(told)))
    }
}

/// When a watcher's rows were last made, and of which entry.
#[derive(Default)]
struct Looked {
    sequence: u64,
    at_us: i64,
}

impl Looked {
    /// Whether it is time to look again; then it is done now.
    fn is_due(&mut self, published: &Published, now_us: i64) -> bool {
        let beats = published.state.hosts.len() / HOSTS_A_BEAT;
        let pause_us = EVERY.as_micros() as i64 * beats as i64;
        let is_new = published.state.sequence != self.sequence;
        if !is_new && now_us - self.at_us < pause_us {
            return false;
        }
        (self.sequence, self.at_us) = (published.state.sequence, now_us);
        true
    }
}

impl Endpoints {
    fn answer(&self, published: &Published, rows: Vec<Vec<u8>>) -> proto::EndpointsResponse {
        proto::EndpointsResponse {
            rows: rows.into_iter().map(Into::into).collect(),
            as_of_us: self.hub.clock.now_us(),
            sequence: published.state.sequence,
        }
    }

    /// What would be changed now.
    fn decided(&self, input: &Input) -> Result<proto::EndpointChanged, Status> {
        let published = self.hub.engine.published();
        let now_us = self.hub.clock.now_us();
        let drafts = state::decide(&published.state, &published.observed, input, now_us);
        let drafts = drafts.map_err(|refusal| rejected(Rejected::Refused(refusal)))?;
        let change = drafts.first().map(|draft| &draft.change);
        Ok(changed(&published, change, 0))
    }

    /// What was changed, or was changed before under the same key.
    async fn changed(&self, written: &Written) -> Result<proto::EndpointChanged, Status> {
        let published = self.hub.engine.published();
        if let Some(entry) = written.entries.last() {
            return Ok(changed(&published, Some(&entry.change), entry.sequence));
        }
        let Some(before) = written.before else {
            return Ok(proto::EndpointChanged::default());
        };
        let found = self.hub.store.entries_at(vec![before]).await;
        let found = found.map_err(|error| Status::unavailable(crate::engine::chain(&error)))?;
        let entry = found
            .first()
            .map(|stored| binnacle_core::journal::Entry::from_body(stored.sequence, &stored.body));
        let Some(Ok(entry)) = entry else {
            return Err(Status::data_loss(format!("entry {before} cannot be read")));
        };
        Ok(proto::EndpointChanged {
            changed: false,
            ..changed(&published, Some(&entry.change), before)
        })
    }
}

fn changed(
    published: &Published,
    change: Option<&Change>,
    sequence: u64,
) -> proto::EndpointChanged {
    let name = change.and_then(Change::endpoint);
    let endpoint = name.and_then(|name| published.state.endpoints.get(name));
    let revision = match change {
        Some(Change::Endpoint(binnacle_core::endpoint::Change::Accepted(accepted))) => {
            Some(accepted.revision)
        }
        _ => endpoint.map(|endpoint| endpoint.latest()),
    };
    proto::EndpointChanged {
        sequence,
        changed: change.is_some(),
        endpoint: name.map(ToString::to_string).unwrap_or_default(),
        revision: revision.unwrap_or(0),
    }
}

/// The version that a rollback would give most requests.
fn proving(endpoint: &Endpoint) -> Option<Reference> {
    let route = &endpoint.last_good()?.route;
    let splits = route.parts().versions.iter();
    Some(splits.max_by_key(|split| split.weight)?.version.clone())
}

/// Some hosts that could answer with a version this moment.
fn ready(published: &Published, endpoint: &Endpoint, version: &Reference) -> Vec<StreamId> {
    let hosts = tick::hosts_of(&published.state, &endpoint.name);
    hosts
        .filter_map(|host| published.observed.commanding(host))
        .filter(|(_, stream)| stream.served.nearness(version) == Nearness::Ready)
        .map(|(stream, _)| stream)
        .take(PROVING)
        .collect()
}

/// A plan, with what is shown beside it.
fn planned(published: &Published, endpoint: &Endpoint, plan: Option<Plan>) -> PlanItem {
    let (state, observed) = (&published.state, &published.observed);
    let intent = plan.as_ref().map(|plan| &plan.intent);
    let target = intent.and_then(|intent| match intent.verb {
        binnacle_core::rollout::Verb::Rollback(to) => endpoint.revision(to),
        binnacle_core::rollout::Verb::Deploy => None,
    });
    let readiness = target.and_then(|revision| {
        let readiness = readiness::of(state, observed, endpoint, revision);
        ReadinessItem::of(endpoint, &readiness)
    });
    let steps = intent.map(|intent| intent.steps.iter().map(step_in_words).map(Into::into));
    PlanItem {
        endpoint: endpoint.name.clone(),
        hash: plan.as_ref().map(|plan| plan.hash),
        no_change: plan.is_none(),
        steps: steps.map(Iterator::collect).unwrap_or_default(),
        readiness,
        protected: plan::is_protected(state, endpoint),
        plan,
    }
}

fn rows(
    published: &Published,
    asked: &proto::EndpointsRequest,
    now_us: i64,
) -> Result<Vec<Vec<u8>>, Status> {
    let (state, observed) = (&published.state, &published.observed);
    let limit = match asked.limit as usize {
        0 => ROWS,
        limit => limit.min(ROWS),
    };
    let endpoints: Vec<&Arc<Endpoint>> = match asked.endpoint.as_str() {
        "" => state.endpoints.all.values().collect(),
        name => {
            let name = wire::name(name).map_err(malformed)?;
            let found = state.endpoints.get(&name);
            vec![found.ok_or_else(|| refused(Refusal::Unknown(name)))?]
        }
    };
    match proto::EndpointNoun::try_from(asked.noun) {
        Ok(proto::EndpointNoun::Endpoints) if asked.at_us > 0 => Ok(endpoints
            .into_iter()
            .filter_map(|endpoint| EndpointItem::at(state, endpoint, asked.at_us))
            .take(limit)
            .map(|row| document_to(&row))
            .collect()),
        Ok(proto::EndpointNoun::Endpoints) => Ok(endpoints
            .into_iter()
            .take(limit)
            .map(|endpoint| document_to(&EndpointItem::of(state, observed, endpoint, now_us)))
            .collect()),
        Ok(proto::EndpointNoun::Revisions) => Ok(endpoints
            .into_iter()
            .flat_map(|endpoint| endpoint.revisions.iter().rev())
            .take(limit)
            .map(|revision| document_to(&RevisionItem::of(revision)))
            .collect()),
        Ok(proto::EndpointNoun::Rollouts) => rollouts(published, &endpoints, asked, limit),
        Ok(proto::EndpointNoun::Unspecified) | Err(_) => {
            let what = format!("noun: {} is none of ours", asked.noun);
            Err(Status::invalid_argument(what))
        }
    }
}

fn rollouts(
    published: &Published,
    endpoints: &[&Arc<Endpoint>],
    asked: &proto::EndpointsRequest,
    limit: usize,
) -> Result<Vec<Vec<u8>>, Status> {
    let (state, observed) = (&published.state, &published.observed);
    let item = |endpoint: &Endpoint, number: u64| {
        let live = endpoint
            .rollout
            .as_ref()
            .filter(|rollout| rollout.revision == number);
        match live {
            Some(rollout) => Some(RolloutItem::live(state, observed, endpoint, rollout)),
            None => {
                let revision = endpoint.revision(number)?;
                Some(RolloutItem::past(endpoint, &revision.rollout))
            }
        }
    };
    if asked.revision > 0 {
        let found = endpoints
            .first()
            .map(|endpoint| (endpoint, item(endpoint, asked.revision)));
        return match found {
            Some((_, Some(item))) => Ok(vec![document_to(&item)]),
            Some((endpoint, None)) => Err(refused(Refusal::UnknownRevision {
                endpoint: endpoint.name.clone(),
                number: asked.revision,
                latest: endpoint.latest(),
            })),
            None => Ok(Vec::new()),
        };
    }
    let mut items: Vec<RolloutItem> = endpoints
        .iter()
        .flat_map(|endpoint| {
            let newest = endpoint.revisions.iter().rev().take(limit);
            newest.filter_map(|revision| item(endpoint, revision.number))
        })
        .filter(|item| !asked.underway || !item.is_over)
        .collect();
    items.sort_by_key(|item| std::cmp::Reverse(item.at_us));
    items.truncate(limit);
    Ok(items.iter().map(document_to).collect())
}

fn refused(refusal: Refusal) -> Status {
    rejected(Rejected::Refused(refusal.into()))
}

fn malformed(refused: Refused) -> Status {
    Status::invalid_argument(refused.to_string())
}
