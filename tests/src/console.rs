//! A console, as far as its questions go: one stream of glances, and queries beside it.

use std::path::PathBuf;
use std::time::Duration;

use binnacle_core::view::Glances;
use binnacle_proto::v1::telemetry_client::TelemetryClient;
use binnacle_proto::v1::{GlanceRequest, GlanceUpdate, QueryRequest, QueryResponse};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::stranger;

/// Bytes in one answer, as consoles have it.
const MAX_ANSWER: usize = 64 << 20;

/// A connection to a hub.
pub struct Console {
    runtime: tokio::runtime::Runtime,
    client: TelemetryClient<Channel>,
    glances: Option<Streaming<GlanceUpdate>>,
}

impl Console {
    /// Dials a hub (`unix:PATH`).
    #[track_caller]
    pub fn dial(hub: &str) -> Self {
        let path = hub.strip_prefix("unix:");
        let path = PathBuf::from(path.expect("hubs of tests are unix sockets"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let channel = runtime.block_on(stranger::connect(path));
        Self {
            runtime,
            client: TelemetryClient::new(channel).max_decoding_message_size(MAX_ANSWER),
            glances: None,
        }
    }

    /// Begins to look at the fleet.
    #[track_caller]
    pub fn look(&mut self, asked: GlanceRequest) {
        let answer = self.runtime.block_on(self.client.glance(asked));
        self.glances = Some(answer.unwrap().into_inner());
    }

    /// What it is told next, which has to come within `limit`.
    #[track_caller]
    pub fn glance(&mut self, limit: Duration) -> Glances {
        let glances = self.glances.as_mut().expect("look first");
        let next = async { tokio::time::timeout(limit, glances.message()).await };
        let next = self.runtime.block_on(next);
        let update = next.expect("the hub tells in time").unwrap();
        binnacle_wire::glance::from_proto(update.expect("the hub goes on")).unwrap()
    }

    /// Asks what was measured.
    #[track_caller]
    pub fn query(&mut self, asked: QueryRequest) -> QueryResponse {
        let answer = self.runtime.block_on(self.client.query(asked));
        answer.unwrap().into_inner()
    }
}
