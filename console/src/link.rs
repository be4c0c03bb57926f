//! The hub as seen from here: connect, ask, and say what is wrong where it cannot be reached.

use std::time::Duration;

use binnacle_core::address::Address;
use binnacle_proto::v1 as proto;
use proto::alerts_client::AlertsClient;
use proto::artifacts_client::ArtifactsClient;
use proto::drift_client::DriftClient;
use proto::endpoints_client::EndpointsClient;
use proto::fleet_client::FleetClient;
use proto::registry_client::RegistryClient;
use proto::telemetry_client::TelemetryClient;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::context::Chosen;
use crate::outcome::{Exit, Failure};

mod ask;
pub(crate) mod blob;
mod desk;
pub(crate) mod feed;
mod inbox;
mod streams;

/// Bytes in one answer: a page of hosts, or every series of a large fleet.
const MAX_ANSWER: usize = 64 << 20;
/// How long a connection may take: a local socket answers at once or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A connection to a hub.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    channel: Channel,
    within: Duration,
}

impl Link {
    /// Connects; each question may then take `within`.
    pub(crate) async fn connect(hub: &Chosen, within: Duration) -> Result<Self, Failure> {
        Self::dial(hub, CONNECT_WITHIN.min(within), within).await
    }

    /// The same, with a time limit of its own for connecting.
    pub(crate) async fn dial(
        hub: &Chosen,
        connect_within: Duration,
        within: Duration,
    ) -> Result<Self, Failure> {
        let uri = match &hub.address {
            Address::Unix(path) => {
                let path = std::path::absolute(path)?;
                format!("unix://{}", path.display())
            }
            Address::Loopback(address) => format!("http://{address}"),
        };
        let unreachable = |error: tonic::transport::Error| {
            let Chosen { address, by, .. } = hub;
            let mut failure = Failure::of(Exit::Unreachable, &error);
            failure.message = format!(
                "no hub answers at {address} (chosen by {by}): {}",
                failure.message
            );
            failure.hint("start one with `binnacle hub run`, or name it with --hub ADDR")
        };
        let endpoint = Endpoint::from_shared(uri).map_err(unreachable)?;
        let endpoint = endpoint.connect_timeout(connect_within);
        Ok(Self {
            channel: endpoint.connect().await.map_err(unreachable)?,
            within,
        })
    }

    /// The service that knows hosts and the journal.
    pub(crate) fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that knows what was measured.
    pub(crate) fn telemetry(&self) -> TelemetryClient<Channel> {
        TelemetryClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that knows what was registered.
    pub(crate) fn registry(&self) -> RegistryClient<Channel> {
        RegistryClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that keeps files.
    pub(crate) fn artifacts(&self) -> ArtifactsClient<Channel> {
        ArtifactsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that knows endpoints and rollouts.
    pub(crate) fn endpoints(&self) -> EndpointsClient<Channel> {
        EndpointsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that knows alerts, and why.
    pub(crate) fn alerts(&self) -> AlertsClient<Channel> {
        AlertsClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The service that holds live inputs against the training data.
    pub(crate) fn drift(&self) -> DriftClient<Channel> {
        DriftClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// A question, with its time limit.
    pub(crate) fn question<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.within);
        request
    }
}
