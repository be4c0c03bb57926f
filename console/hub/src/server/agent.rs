//! The agents' streams: Hello, then reports and observations against assignments and acks.
//!
//! One task a stream. A stream that says nothing at first, speaks another protocol, or breaks
//! the contract is ended with the reason; a report that cannot be read ends its stream rather
//! than being skipped, since a skipped one would be lost without a trace.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use binnacle_core::name::Name;
use binnacle_core::observed::StreamId;
use binnacle_core::state::{Assignment, Input, Refusal};
use binnacle_proto::v1 as proto;
use binnacle_wire::{Refused, greeting, report};
use proto::agent_message::Body as FromAgent;
use proto::hub_message::Body as ToAgent;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Rejected;
use crate::server::Hub;
use crate::telemetry::{Acks, TelemetryError};

/// How long a new stream may take to say Hello: a slow link's handshake, and some more.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Messages that wait for a slow agent: a welcome, an assignment, and a few acks.
const OUTBOX: usize = 8;

/// The service that agents dial.
#[derive(Clone, Debug)]
pub(crate) struct Agents {
    hub: Arc<Hub>,
    streams: Arc<AtomicU64>,
}

type Outgoing = Pin<Box<dyn futures::Stream<Item = Result<proto::HubMessage, Status>> + Send>>;

impl Agents {
    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self {
            hub,
            streams: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl proto::agents_server::Agents for Agents {
    type ConnectStream = Outgoing;

    async fn connect(
        &self,
        request: Request<Streaming<proto::AgentMessage>>,
    ) -> Result<Response<Outgoing>, Status> {
        let mut incoming = request.into_inner();
        let first = tokio::time::timeout(HELLO_WITHIN, incoming.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no Hello within 10 s"))??;
        let Some(FromAgent::Hello(hello)) = first.and_then(|message| message.body) else {
            return Err(Status::invalid_argument(
                "the first message has to be Hello",
            ));
        };
        let protocol = protocol(&hello)?;
        let greeting = greeting::from_proto(&hello).map_err(malformed)?;
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed) + 1);
        let host = greeting.admission.host.clone();
        let welcome = welcome(&self.hub, protocol, &host).await?;
        let acks = self
            .hub
            .telemetry
            .subscribe_acks(host.shared())
            .await
            .map_err(unmeasured)?;
        let input = Input::Joined { stream, greeting };
        let assignments = self.hub.engine.join(input).await.map_err(rejected)?;
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let talk = Talk {
            hub: self.hub.clone(),
            stream,
            host,
            outbox,
        };
        tokio::spawn(talk.run(welcome, incoming, assignments, acks));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

/// The newest protocol that both speak.
fn protocol(hello: &proto::Hello) -> Result<u32, Status> {
    let (oldest, newest) = (binnacle_proto::PROTOCOL_MIN, binnacle_proto::PROTOCOL_MAX);
    let common = hello.protocol_max.min(newest);
    if common >= oldest.max(hello.protocol_min) {
        return Ok(common);
    }
    let older = if hello.protocol_min > newest {
        "the hub"
    } else {
        "the agent"
    };
    Err(Status::failed_precondition(format!(
        "the agent speaks protocol {} to {}, this hub {oldest} to {newest}: upgrade {older}",
        hello.protocol_min, hello.protocol_max,
    )))
}

/// What is durable of this host. Asked for before the stream opens: it may only lag behind,
/// and what lags is sent again and dropped as a duplicate.
async fn welcome(hub: &Hub, protocol: u32, host: &Name) -> Result<ToAgent, Status> {
    let watermarks = hub.telemetry.watermarks(host.shared()).await;
    let watermarks = watermarks.map_err(unmeasured)?;
    let published = hub.engine.published();
    Ok(ToAgent::Welcome(proto::Welcome {
        protocol,
        watermarks: watermarks
            .into_iter()
            .map(|(boot, durable)| proto::Watermark {
                boot_id: boot.0.to_vec().into(),
                durable,
            })
            .collect(),
        journal_sequence: published.state.sequence,
        journal_hash: published.state.hash.to_vec().into(),
        hub_version: env!("CARGO_PKG_VERSION").into(),
    }))
}

/// One stream, open.
struct Talk {
    hub: Arc<Hub>,
    stream: StreamId,
    host: Name,
    outbox: mpsc::Sender<Result<proto::HubMessage, Status>>,
}

impl Talk {
    async fn run(
        self,
        welcome: ToAgent,
        incoming: Streaming<proto::AgentMessage>,
        assignments: watch::Receiver<Option<Assignment>>,
        acks: Acks,
    ) {
        if let Err(status) = self.talk(welcome, incoming, assignments, acks).await {
            tracing::info!(host = %self.host, reason = status.message(), "stream ended");
            // An agent that is gone does not want to know.
            let _gone = self.outbox.send(Err(status)).await;
        }
        let left = Input::Left {
            stream: self.stream,
        };
        if self.hub.engine.put(left).await.is_err() {
            tracing::debug!(host = %self.host, "the engine stopped before the stream");
        }
    }

    async fn talk(
        &self,
        welcome: ToAgent,
        mut incoming: Streaming<proto::AgentMessage>,
        mut assignments: watch::Receiver<Option<Assignment>>,
        mut acks: Acks,
    ) -> Result<(), Status> {
        let mut stopped = std::pin::pin!(self.hub.stopped());
        self.say(welcome).await?;
        loop {
            tokio::select! {
                message = incoming.message() => match message? {
                    Some(message) => self.take(message).await?,
                    None => return Ok(()),
                },
                changed = assignments.changed() => {
                    if changed.is_err() {
                        return Err(Status::aborted("the same agent has dialled anew"));
                    }
                    let wanted = assignments.borrow_and_update().clone();
                    if let Some(wanted) = wanted {
                        self.say(ToAgent::Assignment(greeting::assignment_to(&wanted))).await?;
                    }
                }
                ack = acks.next() => {
                    let Some(ack) = ack else {
                        return Err(Status::unavailable("the hub is stopping"));
                    };
                    self.say(ToAgent::Ack(proto::Ack {
                        boot_id: ack.boot.0.to_vec().into(),
                        received: ack.received,
                        durable: ack.durable,
                    })).await?;
                }
                () = &mut stopped => {
                    return Err(Status::unavailable("the hub is stopping"));
                }
            }
        }
    }

    async fn take(&self, message: proto::AgentMessage) -> Result<(), Status> {
        match message.body {
            Some(FromAgent::Report(report)) => {
                let report = report::from_proto(report).map_err(malformed)?;
                let now_us = self.hub.clock.now_us();
                let received = self
                    .hub
                    .telemetry
                    .received(self.host.shared(), report, now_us);
                received.await.map_err(unmeasured)
            }
            Some(FromAgent::Observation(observed)) => {
                let (stream, generation) = (self.stream, observed.generation);
                let follows = Input::Follows { stream, generation };
                self.hub.engine.put(follows).await.map_err(rejected)?;
                Ok(())
            }
            Some(FromAgent::Hello(_)) => Err(Status::invalid_argument(
                "Hello is said once, at the beginning",
            )),
            // A newer agent's message, within a protocol that both speak: an addition.
            None => Ok(()),
        }
    }

    async fn say(&self, body: ToAgent) -> Result<(), Status> {
        let message = proto::HubMessage { body: Some(body) };
        let gone = |_| Status::cancelled("the agent has left");
        self.outbox.send(Ok(message)).await.map_err(gone)
    }
}

fn malformed(refused: Refused) -> Status {
    Status::invalid_argument(refused.to_string())
}

pub(crate) fn unmeasured(error: TelemetryError) -> Status {
    let message = crate::engine::chain(&error);
    match error {
        TelemetryError::TooMuch(_) => Status::out_of_range(message),
        TelemetryError::Full => Status::resource_exhausted(message),
        TelemetryError::Stopped
        | TelemetryError::Restless
        | TelemetryError::Store(_)
        | TelemetryError::Unwritten(_) => Status::unavailable(message),
    }
}

pub(crate) fn rejected(rejected: Rejected) -> Status {
    let message = rejected.to_string();
    match rejected {
        Rejected::Stopping | Rejected::NotWritten(_) => Status::unavailable(message),
        Rejected::Refused(refusal) => match refusal {
            Refusal::UnknownHost(_) => Status::not_found(message),
            Refusal::Retired { .. } => Status::permission_denied(message),
            Refusal::NoReason | Refusal::LongReason(_) => Status::invalid_argument(message),
            Refusal::FleetFull(_) => Status::resource_exhausted(message),
        },
    }
}
