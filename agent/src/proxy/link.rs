//! Connections to the upstream: dialled, handed to one request at a time, kept for the next.
//!
//! A link over HTTP/1.1 is polled by the task whose request it carries, so that an answer
//! wakes the task that waits for it and no other. Idle links wait in a stack, so that few
//! are kept warm; none waits longer than servers keep them. A request is sent a second time
//! only if hyper hands it back unsent.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Upstream, answer::NoAnswer, grpc::GrpcRequest, resolve, tap::TapBody};

/// Links that wait idle in one worker: as many as requests were in flight at once, up to
/// what a server bears of connections that do nothing.
const MAX_IDLE: usize = 256;

/// Ticks of a worker (seconds) that a link may wait: common servers hang up after five.
const MAX_IDLE_TICKS: u32 = 4;

/// How long a dial may take. The upstream is on this machine or beside it.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections over which one worker spreads gRPC requests: servers that give a connection
/// to one thread get more than one of them busy.
const GRPC_LINKS: usize = 4;

/// HTTP/2 flow control: a tensor of a megabyte passes without waiting for a window.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for a whole connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Larger than HTTP/2's least, so that a tensor takes fewer frames.
pub(crate) const FRAME_BYTES: u32 = 64 << 10;
/// Heads of answers, and trailers, of one gRPC request.
const HEAD_BYTES: u32 = 64 << 10;

/// Runs hyper's own futures on the worker's thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnThisThread;

impl<F> hyper::rt::Executor<F> for OnThisThread
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// How far a request's body has come, for those who wait for the answer.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of the body that have passed.
    pub(crate) bytes: Cell<u64>,
    /// Something has passed since this was last set to false.
    pub(crate) moved: Cell<bool>,
    /// The whole body has passed.
    pub(crate) whole: Cell<bool>,
}

/// The body of a request on its way to the upstream.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    inner: TapBody<Incoming>,
    progress: Option<Rc<Progress>>,
}

impl HttpRequest {
    pub(crate) fn new(inner: TapBody<Incoming>) -> Self {
        Self {
            inner,
            progress: None,
        }
    }
}

impl Body for HttpRequest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if let (Poll::Ready(frame), Some(progress)) = (&frame, &self.progress) {
            progress.moved.set(true);
            match frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    progress.bytes.set(progress.bytes.get() + bytes as u64);
                    progress.whole.set(self.inner.is_end_stream());
                }
                Some(Err(_)) => {}
                None => progress.whole.set(true),
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Why a request was not answered, and the request if it was not sent.
pub(crate) type Unsent = TrySendError<Request<HttpRequest>>;

/// One connection to the upstream over HTTP/1.1.
pub(crate) struct Link {
    sender: http1::SendRequest<HttpRequest>,
    connection: http1::Connection<TokioIo<TcpStream>, HttpRequest>,
    pub(crate) progress: Rc<Progress>,
    parked_at: u32,
}

impl Link {
    /// Lets the connection do what it can.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.connection).poll(cx).map(drop)
    }

    /// Sends a request; the link must be polled for it to go anywhere.
    pub(crate) fn send(
        &mut self,
        mut request: Request<HttpRequest>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unsent>> + use<> {
        // The last request's body may still be held where it was; then it keeps its own.
        if Rc::strong_count(&self.progress) > 1 {
            self.progress = Rc::default();
        }
        self.progress.bytes.set(0);
        self.progress.moved.set(false);
        self.progress.whole.set(request.body().is_end_stream());
        request.body_mut().progress = Some(self.progress.clone());
        self.sender.try_send_request(request)
    }
}

/// The idle links of one worker.
pub(crate) struct Pool {
    upstream: Upstream,
    #[allow(clippy::vec_box)] // a link is large, and moves with every request
    idle: RefCell<Vec<Box<Link>>>,
    tick: Cell<u32>,
}

impl Pool {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            idle: RefCell::default(),
            tick: Cell::new(0),
        }
    }

    /// A link that has waited and still stands.
    pub(crate) fn take(&self, cx: &mut Context<'_>) -> Option<Box<Link>> {
        loop {
            let mut link = self.idle.borrow_mut().pop()?;
            if link.poll(cx).is_pending() && link.sender.is_ready() {
                return Some(link);
            }
        }
    }

    /// Gives a link back whose answer has been read to its end.
    pub(crate) fn park(&self, mut link: Box<Link>) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE {
            link.parked_at = self.tick.get();
            idle.push(link);
        }
    }

    /// Once a second: hangs up on links that have waited too long.
    pub(crate) fn tick(&self) {
        let now = self.tick.get().wrapping_add(1);
        self.tick.set(now);
        let waited = |link: &Link| now.wrapping_sub(link.parked_at);
        let keep = |link: &mut Box<Link>| waited(link) <= MAX_IDLE_TICKS;
        self.idle.borrow_mut().retain_mut(keep);
    }

    /// A new link.
    pub(crate) async fn dial(&self) -> Result<Box<Link>, NoAnswer> {
        let stream = dial(&self.upstream).await?;
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NoAnswer::HungUp)?;
        Ok(Box::new(Link {
            sender,
            connection,
            progress: Rc::default(),
            parked_at: 0,
        }))
    }
}

type Sender = http2::SendRequest<GrpcRequest>;

/// A call that the upstream has not answered, and its request if it was not sent.
pub(crate) struct Unforwarded {
    pub(crate) why: NoAnswer,
    pub(crate) request: Option<Request<GrpcRequest>>,
}

impl Unforwarded {
    pub(crate) fn new(why: NoAnswer, request: Option<Request<GrpcRequest>>) -> Box<Self> {
        Box::new(Self { why, request })
    }
}

/// The gRPC connections of one worker.
pub(crate) struct GrpcLinks {
    upstream: Upstream,
    links: [GrpcLink; GRPC_LINKS],
}

#[derive(Default)]
struct GrpcLink {
    sender: RefCell<Option<Sender>>,
    /// Held while dialling, so that requests that arrive together dial once.
    dialling: tokio::sync::Mutex<()>,
}

impl GrpcLinks {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            links: Default::default(),
        }
    }

    /// Sends a request over the link that this application's connection uses. When it cannot
    /// be sent it is given back.
    pub(crate) async fn send(
        &self,
        connection: u64,
        mut request: Request<GrpcRequest>,
    ) -> Result<Response<Incoming>, Box<Unforwarded>> {
        let at = (connection % GRPC_LINKS as u64) as usize;
        let link = self
            .links
            .get(at)
            .expect("a remainder is less than the divisor");
        let mut fresh = false;
        loop {
            let mut sender = match self.sender(link).await {
                Ok(sender) => sender,
                Err(why) => return Err(Unforwarded::new(why, Some(request))),
            };
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok(answer),
                Err(mut refused) => {
                    link.sender
                        .borrow_mut()
                        .take_if(|sender| sender.is_closed());
                    match refused.take_message() {
                        Some(unsent) if !fresh => request = unsent,
                        unsent => return Err(Unforwarded::new(NoAnswer::HungUp, unsent)),
                    }
                    fresh = true;
                }
            }
        }
    }

    async fn sender(&self, link: &GrpcLink) -> Result<Sender, NoAnswer> {
        let open = || {
            link.sender
                .borrow()
                .clone()
                .filter(|sender| !sender.is_closed())
        };
        if let Some(sender) = open() {
            return Ok(sender);
        }
        let _dialling = link.dialling.lock().await;
        if let Some(sender) = open() {
            return Ok(sender);
        }
        let stream = dial(&self.upstream).await?;
        let (sender, connection) = http2::Builder::new(OnThisThread)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .max_header_list_size(HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| NoAnswer::HungUp)?;
        tokio::task::spawn_local(async move {
            if let Err(why) = connection.await {
                tracing::debug!(%why, "a gRPC connection to the upstream broke");
            }
        });
        *link.sender.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }
}

pub(crate) async fn dial(upstream: &Upstream) -> Result<TcpStream, NoAnswer> {
    let dialled = async {
        let mut refused = io::Error::other("the name has no address");
        for address in resolve(upstream).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(why) => refused = why,
            }
        }
        Err(refused)
    };
    let stream = tokio::time::timeout(DIAL_TIMEOUT, dialled)
        .await
        .map_err(|_| NoAnswer::TimedOut)?
        .map_err(NoAnswer::Refused)?;
    stream.set_nodelay(true).map_err(NoAnswer::Refused)?;
    Ok(stream)
}
