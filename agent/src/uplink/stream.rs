//! One connection to a hub: dials, says hello, passes on what is heard.
//!
//! Promises: exactly one `Ended` event for each dial that was not hung up; nothing heard is
//! dropped (a slow agent makes the hub wait). Dropping the [`Line`] closes the connection.
//! What to say, and when to dial again, is left to the uplink.

use std::error::Error;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use binnacle_proto::v1 as proto;
use binnacle_proto::v1::agents_client::AgentsClient;

use super::{Ending, Event, What};
use crate::config::HubAddr;
use crate::wire;

/// Messages on their way to the hub: what waits longer waits in the spool.
const OUTGOING_MOST: usize = 64;
/// To connect, which on the networks that matter takes milliseconds.
const CONNECT_LONGEST: Duration = Duration::from_secs(3);
/// How often a silent connection is asked whether it lives, and how long it may take to say
/// so: a hub whose machine died is noticed within 10 s.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// An open connection, or one that is being opened.
#[derive(Debug)]
pub struct Line {
    outgoing: mpsc::Sender<proto::AgentMessage>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    /// A place for one message, if there is one now.
    pub fn reserve(&self) -> Option<mpsc::Permit<'_, proto::AgentMessage>> {
        self.outgoing.try_reserve().ok()
    }
}

/// Opens connection number `connection` to `hub`; what happens on it goes to `events`.
pub fn dial(
    connection: u64,
    hub: &HubAddr,
    hello: proto::AgentMessage,
    events: mpsc::Sender<Event>,
) -> Line {
    let hub = hub.clone();
    speak(
        connection,
        async move { connect(&hub).await },
        hello,
        events,
    )
}

/// As [`dial`], over a way to the hub of whatever kind: a network that is simulated, say.
pub fn speak(
    connection: u64,
    way: impl Future<Output = Result<Channel, tonic::transport::Error>> + Send + 'static,
    hello: proto::AgentMessage,
    events: mpsc::Sender<Event>,
) -> Line {
    let (outgoing, queued) = mpsc::channel(OUTGOING_MOST);
    let task = tokio::spawn(async move {
        let what = |what| Event { connection, what };
        let ending = Box::pin(async {
            let mut heard = open(way, hello, queued).await?;
            loop {
                let message = heard.message().await.map_err(|status| ended(&status))?;
                let Some(message) = message else {
                    return Err(Ending::Lost("the hub closed the stream".into()));
                };
                match wire::from_hub(message) {
                    Ok(None) => {}
                    Ok(Some(said)) => {
                        // Nobody listens any more: the agent is going.
                        let _ = events.send(what(What::Heard(said))).await;
                    }
                    Err(malformed) => {
                        let words = format!("the hub's message cannot be used: {malformed}");
                        return Err(Ending::Lost(words));
                    }
                }
            }
        });
        let result: Result<std::convert::Infallible, Ending> = ending.await;
        let Err(ending) = result;
        let _ = events.send(what(What::Ended(ending))).await;
    });
    Line { outgoing, task }
}

async fn open(
    way: impl Future<Output = Result<Channel, tonic::transport::Error>>,
    hello: proto::AgentMessage,
    queued: mpsc::Receiver<proto::AgentMessage>,
) -> Result<tonic::Streaming<proto::HubMessage>, Ending> {
    let unreachable = |error: &dyn Error| Ending::Unreachable(words(error));
    let channel = way.await.map_err(|error| unreachable(&error))?;
    let outgoing = tokio_stream::once(hello).chain(ReceiverStream::new(queued));
    let answer = AgentsClient::new(channel).connect(outgoing).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| ended(&status))
}

/// Connects to a hub.
pub(crate) async fn connect(hub: &HubAddr) -> Result<Channel, tonic::transport::Error> {
    let uri = match hub {
        HubAddr::Unix(path) => format!("unix://{}", path.display()),
        HubAddr::Tcp(addr) => format!("http://{addr}"),
    };
    patient(Endpoint::from_shared(uri)?).connect().await
}

/// An endpoint with the patience of this agent.
pub fn patient(hub: Endpoint) -> Endpoint {
    hub.connect_timeout(CONNECT_LONGEST)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
}

/// What the end of a stream means. A refusal is one that trying again will not change.
fn ended(status: &Status) -> Ending {
    match status.code() {
        Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::Unauthenticated => Ending::Refused(status.message().to_owned()),
        Code::Unimplemented => {
            Ending::Refused("what listens at the hub's address is no hub".into())
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Ending::Lost(words(status)),
    }
}

/// The innermost cause, which is the one that says something.
pub(crate) fn words(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
