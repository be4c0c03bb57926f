//! An agent that is none of ours: it speaks the contract, and says over it whatever it is told.

use std::path::PathBuf;
use std::time::Duration;

use binnacle_proto::v1::agent_message::Body;
use binnacle_proto::v1::agents_client::AgentsClient;
use binnacle_proto::v1::{AgentMessage, Hello, HubMessage, Report};
use futures::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Status, Streaming};

/// Messages on their way to the hub.
const QUEUE: usize = 64;

/// A stream to a hub.
pub struct Stranger {
    runtime: tokio::runtime::Runtime,
    say: mpsc::Sender<AgentMessage>,
    hear: Streaming<HubMessage>,
}

/// A greeting that a hub accepts, from `host`, to be spoilt as a test needs it.
pub fn hello(host: &str) -> Hello {
    Hello {
        protocol_min: binnacle_proto::PROTOCOL_MIN,
        protocol_max: binnacle_proto::PROTOCOL_MAX,
        host: host.to_owned(),
        environment: "test".to_owned(),
        boot_id: vec![7; 16].into(),
        attachment: "path".to_owned(),
        ..Hello::default()
    }
}

impl Stranger {
    /// Dials a hub (`unix:PATH`) and greets it. What the hub refused it with, if it did.
    pub fn dial(hub: &str, hello: Hello) -> Result<(Self, HubMessage), Status> {
        let path = PathBuf::from(
            hub.strip_prefix("unix:")
                .expect("hubs of tests are unix sockets"),
        );
        // A thread of its own, so that the connection is driven between calls.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (say, messages) = mpsc::channel(QUEUE);
        say.try_send(AgentMessage {
            body: Some(Body::Hello(hello)),
        })
        .expect("the queue is empty");
        let greeted = runtime.block_on(async {
            let channel = connect(path).await;
            let stream = ReceiverStream::new(messages);
            let mut hear = AgentsClient::new(channel)
                .connect(stream)
                .await?
                .into_inner();
            let welcome = hear.message().await?;
            Ok::<_, Status>((hear, welcome.expect("a hub that ends a stream says why")))
        });
        let (hear, welcome) = greeted?;
        Ok((Self { runtime, say, hear }, welcome))
    }

    /// Dials a hub, greets it, and is gone after so long, without waiting for an answer.
    pub fn vanish(hub: &str, hello: Hello, after: Duration) {
        let path = PathBuf::from(hub.strip_prefix("unix:").expect("a unix socket"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let greeting = AgentMessage {
            body: Some(Body::Hello(hello)),
        };
        runtime.block_on(async {
            let channel = connect(path).await;
            // It never ends of itself.
            let said = futures::stream::once(async { greeting });
            let said = said.chain(futures::stream::pending());
            let mut client = AgentsClient::new(channel);
            let gone = tokio::time::timeout(after, client.connect(said)).await;
            drop(gone);
        });
    }

    /// Sends a report.
    pub fn report(&mut self, report: Report) {
        let message = AgentMessage {
            body: Some(Body::Report(report)),
        };
        self.runtime
            .block_on(self.say.send(message))
            .expect("the stream is open");
    }

    /// What the hub says next.
    pub fn heard(&mut self) -> Result<Option<HubMessage>, Status> {
        self.runtime.block_on(self.hear.message())
    }
}

pub(crate) async fn connect(path: PathBuf) -> Channel {
    let endpoint = Endpoint::from_static("http://hub");
    let dial = move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    };
    endpoint
        .connect_with_connector(tower::service_fn(dial))
        .await
        .unwrap()
}
