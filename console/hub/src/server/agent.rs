//! The agents' streams: Hello, then reports and observations against assignments and acks.
//!
//! One task a stream hears the agent; what the agent is told is a stream that its connection
//! polls, so that a report wakes the one and not the other. A stream that says nothing at
//! first, speaks another protocol, or breaks the contract is ended with the reason; a report
//! that cannot be read ends its stream rather than being skipped, since a skipped one would be
//! lost without a trace.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use binnacle_core::blame::Share;
use binnacle_core::endpoint::EndpointName;
use binnacle_core::judge::{Nulls, Shadow};
use binnacle_core::name::Name;
use binnacle_core::observed::StreamId;
use binnacle_core::registry::Reference;
use binnacle_core::report::Report;
use binnacle_core::state::{Assignment, Greeting, Input};
use binnacle_proto::v1 as proto;
use binnacle_wire::{Refused, greeting, report, served};
use proto::agent_message::Body as FromAgent;
use proto::hub_message::Body as ToAgent;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::drift::Counted;
use crate::server::Hub;
use crate::server::proofs::Questions;
use crate::server::rejection::rejected;
use crate::telemetry::{Acks, TelemetryError};

/// Letters of a caller's name.
const CALLER_MOST: usize = 64;

/// A caller's name as the hub keeps it: short, and nothing that a terminal would obey.
fn shortened(caller: &str) -> String {
    let letters = caller.chars().filter(|letter| !letter.is_control());
    letters.take(CALLER_MOST).collect()
}

/// How long a new stream may take to say Hello: a slow link's handshake, and some more.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

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
        let environment = greeting.admission.environment.clone();
        let welcome = welcome(&self.hub, protocol, &host).await?;
        let acks = self
            .hub
            .telemetry
            .subscribe_acks(host.shared())
            .await
            .map_err(unmeasured)?;
        let ((told, until), (broken, why)) = (oneshot::channel(), oneshot::channel());
        let hearing = Hearing {
            hub: self.hub.clone(),
            stream,
            host: host.clone(),
            environment,
        };
        let joined = hearing.join(greeting, incoming, until, broken);
        // A task of its own: a caller that goes away meanwhile takes this one along, and whoever
        // has joined has to leave again.
        let assignments = tokio::spawn(joined).await;
        let assignments =
            assignments.map_err(|_| Status::internal("the stream was not opened"))??;
        let telling = Telling {
            hub: self.hub.clone(),
            host,
            welcome: Some(welcome),
            assignments,
            questions: self.hub.proofs.questions(stream),
            acks,
            broken: why,
            _told: told,
        };
        Ok(Response::new(telling.messages()))
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

/// What the agent says, heard by a task of its own until either side ends the stream.
struct Hearing {
    hub: Arc<Hub>,
    stream: StreamId,
    host: Name,
    environment: Name,
}

impl Hearing {
    /// Joins, and begins to hear: what is wanted of the host comes on what is returned.
    async fn join(
        self,
        greeting: Greeting,
        incoming: Streaming<proto::AgentMessage>,
        told: oneshot::Receiver<Infallible>,
        broken: oneshot::Sender<Option<Status>>,
    ) -> Result<watch::Receiver<Option<Assignment>>, Status> {
        let stream = self.stream;
        let input = Input::Joined { stream, greeting };
        let assignments = self.hub.engine.join(input).await.map_err(rejected)?;
        tokio::spawn(self.run(incoming, told, broken));
        Ok(assignments)
    }

    /// `told` has ended when nobody is told anything any more; `broken` takes the reason why
    /// the agent is not heard any more.
    async fn run(
        self,
        incoming: Streaming<proto::AgentMessage>,
        told: oneshot::Receiver<Infallible>,
        broken: oneshot::Sender<Option<Status>>,
    ) {
        tokio::select! {
            // Nearly every wake-up is a report.
            biased;
            heard = self.hear(incoming) => {
                if let Err(Some(status)) = broken.send(heard.err()) {
                    let reason = status.message();
                    tracing::info!(host = %self.host, reason, "stream ended");
                }
            }
            _ = told => {}
        }
        let left = Input::Left {
            stream: self.stream,
        };
        if self.hub.engine.put(left).await.is_err() {
            tracing::debug!(host = %self.host, "the engine stopped before the stream");
        }
    }

    async fn hear(&self, mut incoming: Streaming<proto::AgentMessage>) -> Result<(), Status> {
        while let Some(message) = incoming.message().await? {
            self.take(message).await?;
        }
        Ok(())
    }

    async fn take(&self, message: proto::AgentMessage) -> Result<(), Status> {
        match message.body {
            Some(FromAgent::Report(mut report)) => {
                self.take_shadows(&mut report);
                self.take_answers(&mut report);
                self.take_callers(&mut report);
                let mut report = report::from_proto(report).map_err(malformed)?;
                let vitals = report.moment.as_ref().and_then(|of| of.vitals.as_ref());
                if let Some(vitals) = vitals {
                    self.hub.memory.told(&self.host, vitals);
                }
                self.qualify(&mut report);
                // Before the rest of it is: what is durable of a report is so of all of it.
                self.take_inputs(&mut report).await?;
                let now_us = self.hub.clock.now_us();
                let received = self
                    .hub
                    .telemetry
                    .received(self.host.shared(), report, now_us);
                received.await.map_err(unmeasured)
            }
            Some(FromAgent::Observation(observed)) => {
                let stream = self.stream;
                let served = served::from_proto(observed).map_err(malformed)?.into();
                let serves = Input::Serves { stream, served };
                self.hub.engine.put(serves).await.map_err(rejected)?;
                Ok(())
            }
            Some(FromAgent::Hello(_)) => Err(Status::invalid_argument(
                "Hello is said once, at the beginning",
            )),
            Some(FromAgent::Proved(proved)) => {
                self.hub.proofs.take(proved);
                Ok(())
            }
            // A newer agent's message, within a protocol that both speak: an addition.
            None => Ok(()),
        }
    }
}

impl Hearing {
    /// Two environments may have an endpoint of the same name: a host's requests are counted
    /// under its own environment's.
    fn qualify(&self, report: &mut Report) {
        for window in &mut report.series {
            if !window.key.endpoint.is_empty() {
                let endpoint = format!("{}/{}", self.environment, window.key.endpoint);
                window.key.endpoint = endpoint.into();
            }
        }
    }

    /// Hands on what inputs were counted.
    async fn take_inputs(&self, report: &mut Report) -> Result<(), Status> {
        let windows = std::mem::take(&mut report.inputs);
        if windows.is_empty() {
            return Ok(());
        }
        let counted = Counted {
            host: self.host.clone(),
            environment: self.environment.clone(),
            boot: report.boot,
            sequence: report.last,
            windows,
        };
        let counted = self.hub.drift.counted(counted).await;
        counted.map_err(|stopping| Status::unavailable(stopping.to_string()))
    }

    /// Takes in what shadows answered, as far as it is of the moment: what waited is about steps
    /// that are over.
    fn take_shadows(&self, report: &mut proto::Report) {
        let windows = std::mem::take(&mut report.shadows);
        if report.sent_at_us == 0 || windows.is_empty() {
            return;
        }
        let published = self.hub.engine.published();
        for window in windows {
            let endpoint = Name::parse(&window.endpoint).map(|name| EndpointName {
                environment: self.environment.clone(),
                name,
            });
            let version = format!("{}@{}", window.shadow_model, window.shadow_version);
            let (Ok(endpoint), Ok(version)) = (endpoint, version.parse::<Reference>()) else {
                continue;
            };
            let known = published.state.endpoints.get(&endpoint);
            if known.is_some_and(|known| known.is_coming(&version)) {
                let more = Shadow {
                    compared: window.compared,
                    same: window.same_class,
                    failed: window.failed,
                };
                self.hub.shadows.add(endpoint, version, more);
            }
        }
    }
}

impl Hearing {
    /// Takes in what callers did, as far as it is of the moment.
    fn take_callers(&self, report: &mut proto::Report) {
        let windows = std::mem::take(&mut report.callers);
        if report.sent_at_us == 0 {
            return;
        }
        let now_us = self.hub.clock.now_us();
        let published = self.hub.engine.published();
        for window in windows {
            let Ok(name) = Name::parse(&window.endpoint) else {
                continue;
            };
            let endpoint = EndpointName {
                environment: self.environment.clone(),
                name,
            };
            if published.state.endpoints.get(&endpoint).is_some() {
                let more = Share {
                    beyond: window.errors.min(window.requests),
                    of: window.requests,
                };
                let caller = shortened(&window.caller);
                self.hub.callers.add(endpoint, &caller, more, now_us);
            }
        }
    }

    /// Takes in what answers said, as far as it is of the moment.
    fn take_answers(&self, report: &mut proto::Report) {
        let windows = std::mem::take(&mut report.answers);
        if report.sent_at_us == 0 || windows.is_empty() {
            return;
        }
        let now_us = self.hub.clock.now_us();
        let published = self.hub.engine.published();
        for window in windows {
            let endpoint = Name::parse(&window.endpoint).map(|name| EndpointName {
                environment: self.environment.clone(),
                name,
            });
            let version = format!("{}@{}", window.model, window.version);
            let (Ok(endpoint), Ok(version)) = (endpoint, version.parse::<Reference>()) else {
                continue;
            };
            let registry = &published.state.registry;
            if published.state.endpoints.get(&endpoint).is_none()
                || registry.version(&version).is_none()
            {
                continue;
            }
            let more = Nulls {
                looked: window.looked,
                null: window.null,
            };
            let whose = (self.host.clone(), version);
            self.hub.answers.add(endpoint, whose, more, now_us);
        }
    }
}

/// What the agent is told, polled by the connection as fast as the agent takes it: a slow
/// agent gets the latest assignment and the latest acks, and nothing queues up for it.
struct Telling {
    hub: Arc<Hub>,
    host: Name,
    welcome: Option<ToAgent>,
    assignments: watch::Receiver<Option<Assignment>>,
    questions: Questions,
    acks: Acks,
    broken: oneshot::Receiver<Option<Status>>,
    /// Dropped with this, it ends the hearing.
    _told: oneshot::Sender<Infallible>,
}

impl Telling {
    fn messages(self) -> Outgoing {
        Box::pin(futures::stream::try_unfold(
            self,
            |mut telling| async move {
                match telling.next().await {
                    Ok(Some(message)) => Ok(Some((message, telling))),
                    Ok(None) => Ok(None),
                    Err(status) => {
                        let (host, reason) = (&telling.host, status.message());
                        tracing::info!(%host, reason, "stream ended");
                        Err(status)
                    }
                }
            },
        ))
    }

    /// What there is to say next; `None` when the agent has ended the stream.
    async fn next(&mut self) -> Result<Option<proto::HubMessage>, Status> {
        let say = |body| Ok(Some(proto::HubMessage { body: Some(body) }));
        if let Some(welcome) = self.welcome.take() {
            return say(welcome);
        }
        loop {
            tokio::select! {
                broken = &mut self.broken => {
                    return match broken {
                        Ok(Some(status)) => Err(status),
                        Ok(None) | Err(_) => Ok(None),
                    };
                }
                changed = self.assignments.changed() => {
                    if changed.is_err() {
                        return Err(Status::aborted("the same agent has dialled anew"));
                    }
                    let wanted = self.assignments.borrow_and_update().clone();
                    if let Some(wanted) = wanted {
                        let wanted = greeting::assignment_to(&wanted);
                        return say(ToAgent::Assignment(wanted));
                    }
                }
                Some(question) = self.questions.next() => return Ok(Some(question)),
                ack = self.acks.next() => {
                    let Some(ack) = ack else {
                        return Err(Status::unavailable("the hub is stopping"));
                    };
                    return say(ToAgent::Ack(proto::Ack {
                        boot_id: ack.boot.0.to_vec().into(),
                        received: ack.received,
                        durable: ack.durable,
                    }));
                }
                () = self.hub.stopped() => {
                    return Err(Status::unavailable("the hub is stopping"));
                }
            }
        }
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
