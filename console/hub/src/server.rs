//! The hub's gRPC surface: agents, fleet, telemetry, with health and reflection.

use std::sync::Arc;
use std::time::Duration;

use binnacle_proto::v1 as proto;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Server;

use crate::answers::{Answers, Callers};
use crate::artifact::Blobs;
use crate::clock::Clock;
use crate::drift::Drift;
use crate::engine::Engine;
use crate::listen::Listener;
use crate::memory::Memory;
use crate::rollouts::Shadows;
use crate::server::proofs::Proofs;
use crate::sinks::Board;
use crate::store::SharedStore;
use crate::telemetry;

mod agent;
mod alert;
mod artifact;
mod drain;
mod drift;
mod endpoint;
mod entries;
mod fleet;
pub(crate) mod glance;
mod proofs;
mod registry;
mod rejection;
mod rows;
mod standing;
#[path = "server/telemetry.rs"]
mod telemetry_server;

/// Bytes in one message from an agent: a report of every series that an agent may hold, with
/// full histograms, is under 8 MiB.
const MAX_REPORT: usize = 16 << 20;
/// Bytes in one message from a console: questions are small.
const MAX_QUESTION: usize = 1 << 20;
/// Bytes in one part of an upload: ours sends a quarter of it.
const MAX_PART: usize = 4 << 20;
/// How often a silent connection is asked whether it lives: a host that lost its power is
/// noticed within this and [`PING_ANSWER`].
const PING: Duration = Duration::from_secs(15);
/// How long the answer may take.
const PING_ANSWER: Duration = Duration::from_secs(10);
/// Bytes that one stream, and one connection, may have on the way: a report is under 1 KB as
/// a rule, and ten thousand connections share the memory.
const WINDOW: u32 = 256 << 10;

/// What every service of the hub shares.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) engine: Engine,
    pub(crate) telemetry: telemetry::Telemetry,
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    pub(crate) started_us: i64,
    pub(crate) glances: glance::Board,
    pub(crate) blobs: Blobs,
    pub(crate) shadows: Shadows,
    pub(crate) drift: Drift,
    pub(crate) answers: Answers,
    pub(crate) callers: Callers,
    pub(crate) memory: Memory,
    pub(crate) proofs: Proofs,
    pub(crate) board: Board,
    /// True from when the hub begins to stop.
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Hub {
    /// Comes back when the hub begins to stop.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // A sender that is gone means the same.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }
}

/// Serves on every listener until the hub stops.
pub(crate) async fn serve(
    hub: Arc<Hub>,
    listeners: Vec<Listener>,
) -> Vec<JoinHandle<Result<(), tonic::transport::Error>>> {
    let routes = routes(&hub).await;
    let one = |listener| {
        let stopping = hub.clone();
        let until = async move { stopping.stopped().await };
        let serving = Server::builder()
            .http2_keepalive_interval(Some(PING))
            .http2_keepalive_timeout(Some(PING_ANSWER))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .add_routes(routes.clone())
            .serve_with_incoming_shutdown(listener, until);
        tokio::spawn(serving)
    };
    listeners.into_iter().map(one).collect()
}

async fn routes(hub: &Arc<Hub>) -> Routes {
    use proto::agents_server::AgentsServer;
    use proto::alerts_server::AlertsServer;
    use proto::artifacts_server::ArtifactsServer;
    use proto::drift_server::DriftServer;
    use proto::endpoints_server::EndpointsServer;
    use proto::fleet_server::FleetServer;
    use proto::registry_server::RegistryServer;
    use proto::telemetry_server::TelemetryServer;

    let agents =
        AgentsServer::new(agent::Agents::new(hub.clone())).max_decoding_message_size(MAX_REPORT);
    let fleet =
        FleetServer::new(fleet::Fleet { hub: hub.clone() }).max_decoding_message_size(MAX_QUESTION);
    let telemetry = TelemetryServer::new(telemetry_server::Telemetry { hub: hub.clone() })
        .max_decoding_message_size(MAX_QUESTION);
    let registry = RegistryServer::new(registry::Registry { hub: hub.clone() })
        .max_decoding_message_size(MAX_QUESTION);
    let artifacts = ArtifactsServer::new(artifact::Artifacts { hub: hub.clone() })
        .max_decoding_message_size(MAX_PART);
    let endpoints = EndpointsServer::new(endpoint::Endpoints { hub: hub.clone() })
        .max_decoding_message_size(MAX_QUESTION);
    let alerts = AlertsServer::new(alert::Alerts { hub: hub.clone() })
        .max_decoding_message_size(MAX_QUESTION);
    let drift =
        DriftServer::new(drift::Drift { hub: hub.clone() }).max_decoding_message_size(MAX_QUESTION);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<AgentsServer<agent::Agents>>().await;
    reporter.set_serving::<FleetServer<fleet::Fleet>>().await;
    reporter
        .set_serving::<TelemetryServer<telemetry_server::Telemetry>>()
        .await;
    reporter
        .set_serving::<RegistryServer<registry::Registry>>()
        .await;
    reporter
        .set_serving::<ArtifactsServer<artifact::Artifacts>>()
        .await;
    reporter
        .set_serving::<EndpointsServer<endpoint::Endpoints>>()
        .await;
    reporter.set_serving::<AlertsServer<alert::Alerts>>().await;
    reporter.set_serving::<DriftServer<drift::Drift>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(binnacle_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were built together with the bindings");
    Routes::new(agents)
        .add_service(fleet)
        .add_service(telemetry)
        .add_service(registry)
        .add_service(artifacts)
        .add_service(endpoints)
        .add_service(alerts)
        .add_service(drift)
        .add_service(health)
        .add_service(reflection)
}
