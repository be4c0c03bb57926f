//! Somebody who deploys: over the hub's own protocol, with a key for each change, so that what was
//! asked while the hub was dying is done once.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tonic::{Code, Response, Status};

use binnacle_core::endpoint::Route;
use binnacle_core::registry::Reference;
use binnacle_core::rollout::plan::{Ask, Want};
use binnacle_core::rollout::{Strategy, Watched};
use binnacle_core::view::{EndpointItem, PlanItem, RolloutItem};
use binnacle_proto::v1::endpoint_command::Command;
use binnacle_proto::v1::endpoints_client::EndpointsClient;
use binnacle_proto::v1::registry_client::RegistryClient;
use binnacle_proto::v1::registry_command::Command as Change;
use binnacle_proto::v1::{
    Document, EndpointCommand, EndpointDocument, EndpointNoun, EndpointsRequest, LiftBlock,
    PlanRequest, RegistryCommand, Steer, SteerRollout,
};
use binnacle_wire::registry::{document, document_to};

use super::network;
use super::stand::ENDPOINT;

const MODEL: &str = "scan";
/// Versions of it.
const VERSIONS: u32 = 3;
/// Between two looks, and between two tries.
const AGAIN: Duration = Duration::from_millis(250);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// A rollout of these tests is over by then, whatever goes wrong meanwhile.
const OVER: Duration = Duration::from_secs(20 * 60);

/// The operator.
pub(super) struct Operator {
    rng: StdRng,
    /// So that its keys are its own.
    name: u64,
    /// Changes asked for so far.
    asked: u64,
}

impl Operator {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            name: seed,
            asked: 0,
        }
    }

    /// An endpoint that has its first version.
    pub(super) async fn prepare(&mut self) {
        let card = document(MODEL, &json!({}));
        self.registers(Change::CreateModel(card)).await;
        for _ in 1..=VERSIONS {
            // Without files at the hub: they would be on a disk, which is quick or slow by no
            // seed.
            let version: Document = document(MODEL, &json!({}));
            self.registers(Change::RegisterVersion(version)).await;
        }
        let policy = json!({"policy": {"min_requests": 100, "hold_at_most_s": 120}});
        let create = EndpointDocument {
            endpoint: ENDPOINT.into(),
            document: document_to(&policy).into(),
        };
        self.changes(Command::Create(create)).await.unwrap();
        self.brings(1).await;
    }

    /// Deploys a version until it is there: servers may fail to load it.
    async fn brings(&mut self, version: u32) {
        let ask = self.ask(Want::Deploy(whole(version)), Some(Strategy::AllAtOnce), 0);
        loop {
            self.runs(&ask).await.unwrap();
            if &*self.ends(false).await.phase == "promoted" {
                return;
            }
        }
    }

    /// Deploys a version everywhere, and waits until somebody is to confirm it.
    pub(super) async fn confirming(&mut self, version: u32, within_s: u32) {
        let want = Want::Deploy(whole(version));
        let ask = self.ask(want, Some(Strategy::AllAtOnce), within_s);
        loop {
            let rollout = self.last().await;
            match &*rollout.phase {
                "confirming" => return,
                _ if rollout.is_over => {
                    self.runs(&ask).await.unwrap();
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Rollouts one after the other, of any kind: how each of them ended.
    pub(super) async fn goes_on(&mut self, rollouts: usize) -> Vec<Arc<str>> {
        let mut ends = Vec::new();
        while ends.len() < rollouts {
            let ask = self.any().await;
            // There may be nothing to go back to.
            if self.runs(&ask).await.is_ok_and(|is_underway| is_underway) {
                ends.push(self.ends(true).await.phase);
            }
        }
        ends
    }

    async fn any(&mut self) -> Ask {
        if self.rng.random_ratio(1, 4) {
            return self.ask(Want::Rollback(None), None, 0);
        }
        let live = self.endpoint().await.route;
        let others = (1..=VERSIONS).filter(|other| *whole(*other).to_string() != *live);
        let others: Vec<u32> = others.collect();
        let version = others[self.rng.random_range(0..others.len())];
        // One that was taken back before may come again.
        let lift = LiftBlock {
            endpoint: ENDPOINT.into(),
            version: format!("{MODEL}@{version}"),
        };
        let _not_blocked = self.changes(Command::Lift(lift)).await;
        let half = Watched {
            share: 5_000,
            bake_s: 5,
        };
        let strategy = match self.rng.random_range(0..4) {
            0 => Strategy::AllAtOnce,
            1 => Strategy::Rolling(half),
            2 => Strategy::Canary(vec![half]),
            _ => Strategy::BlueGreen(5),
        };
        let confirm = [0, 20, 30][self.rng.random_range(0..3)];
        self.ask(Want::Deploy(whole(version)), Some(strategy), confirm)
    }

    /// What somebody asks for.
    fn ask(&self, want: Want, strategy: Option<Strategy>, confirm: u32) -> Ask {
        Ask {
            endpoint: ENDPOINT.parse().unwrap(),
            want,
            strategy,
            confirm_within_s: Some(confirm),
            keeps_sticky: false,
        }
    }

    /// Plans it and has it done: false where there is nothing to do.
    async fn runs(&mut self, ask: &Ask) -> Result<bool, Status> {
        let planned = keep_asking(|| async {
            let asked = PlanRequest {
                ask: document_to(ask).into(),
            };
            EndpointsClient::new(dial().await?).plan(asked).await
        });
        let item: PlanItem = serde_json::from_slice(&planned.await?.document).unwrap();
        let Some(plan) = item.plan.as_ref().filter(|_| !item.no_change) else {
            return Ok(false);
        };
        self.changes(Command::Run(document_to(plan).into())).await?;
        Ok(true)
    }

    /// Waits until the rollout is over; where it is `steered`, somebody interferes.
    async fn ends(&mut self, steered: bool) -> RolloutItem {
        let until = tokio::time::Instant::now() + OVER;
        loop {
            let rollout = self.last().await;
            if rollout.is_over {
                return rollout;
            }
            assert!(tokio::time::Instant::now() < until, "no end: {rollout:?}");
            if steered {
                self.interferes(&rollout).await;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The last rollout.
    async fn last(&self) -> RolloutItem {
        let asked = EndpointsRequest {
            noun: EndpointNoun::Rollouts.into(),
            endpoint: ENDPOINT.into(),
            limit: 1,
            ..EndpointsRequest::default()
        };
        row(asked).await
    }

    /// The endpoint.
    pub(super) async fn endpoint(&self) -> EndpointItem {
        let asked = EndpointsRequest {
            noun: EndpointNoun::Endpoints.into(),
            endpoint: ENDPOINT.into(),
            ..EndpointsRequest::default()
        };
        row(asked).await
    }

    /// Now and then somebody wants something else.
    async fn interferes(&mut self, rollout: &RolloutItem) {
        let is_confirming = &*rollout.phase == "confirming";
        let steer = match self.rng.random_range(0..1_000) {
            0..3 => Steer::Abort,
            3..8 => Steer::Pause,
            8..60 => Steer::Resume,
            60..100 if is_confirming => Steer::Confirm,
            100 | 101 => {
                let ask = self.ask(Want::Rollback(None), None, 0);
                let _refused = self.runs(&ask).await;
                return;
            }
            _ => return,
        };
        // What cannot be paused, say, says so.
        let _refused = self.steers(steer).await;
    }

    pub(super) async fn steers(&mut self, steer: Steer) -> Result<(), Status> {
        let steer = SteerRollout {
            endpoint: ENDPOINT.into(),
            revision: 0,
            steer: steer.into(),
        };
        self.changes(Command::Steer(steer)).await
    }

    fn key(&mut self) -> String {
        self.asked += 1;
        format!("{}-{}", self.name, self.asked)
    }

    async fn changes(&mut self, command: Command) -> Result<(), Status> {
        let asked = EndpointCommand {
            why: "simulated".into(),
            key: self.key(),
            command: Some(command),
            ..EndpointCommand::default()
        };
        let changed = keep_asking(|| async {
            EndpointsClient::new(dial().await?)
                .change(asked.clone())
                .await
        });
        changed.await.map(drop)
    }

    async fn registers(&mut self, change: Change) {
        let asked = RegistryCommand {
            why: "simulated".into(),
            key: self.key(),
            command: Some(change),
            ..RegistryCommand::default()
        };
        let changed = keep_asking(|| async {
            RegistryClient::new(dial().await?)
                .change(asked.clone())
                .await
        });
        changed.await.unwrap();
    }
}

/// A route to one version.
fn whole(version: u32) -> Route {
    let reference: Reference = format!("{MODEL}@{version}").parse().unwrap();
    Route::whole(reference)
}

async fn dial() -> Result<tonic::transport::Channel, Status> {
    let refused = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    network::dial().await.map_err(refused)
}

async fn row<T: serde::de::DeserializeOwned>(asked: EndpointsRequest) -> T {
    let listed = keep_asking(|| async {
        EndpointsClient::new(dial().await?)
            .list(asked.clone())
            .await
    });
    let rows = listed.await.unwrap().rows;
    let read: Result<T, _> = serde_json::from_slice(&rows[0]);
    read.unwrap_or_else(|error| panic!("{error}: {}", json_of(&rows[0])))
}

fn json_of(row: &[u8]) -> Value {
    serde_json::from_slice(row).unwrap_or_default()
}

/// Asks until the hub answers, one way or the other.
async fn keep_asking<T, F>(ask: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    loop {
        match tokio::time::timeout(ANSWER, ask()).await {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) if is_refusal(status.code()) => return Err(status),
            Ok(Err(_)) | Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Whether trying again would not help.
fn is_refusal(code: Code) -> bool {
    match code {
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}
