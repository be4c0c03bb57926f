//! One application's connection: HTTP/1.1 or HTTP/2 by its first bytes, served until either
//! side has had enough.
//!
//! Heads are bounded in bytes, number and time; what does not follow the protocol is refused
//! by hyper with 400 or 431 before anything of it reaches the upstream.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use ::http::Request;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    grpc, http,
    link::{CONNECTION_WINDOW_BYTES, FRAME_BYTES, OnThisThread, STREAM_WINDOW_BYTES},
    relay, route,
    worker::Worker,
};

/// Bytes of one request's head: what proxies in front of us let through, and more.
const MAX_HEAD_BYTES: u32 = 64 << 10;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// Streams that may be reset before they were accepted: more is an attack by resets.
const MAX_RESETS: usize = 256;

/// Ticks (seconds) in which a head must be whole, from its first byte or from the connection.
const HEAD_TICKS: u32 = 30;

/// Ticks (seconds) that a connection may be idle: longer than load balancers keep theirs, so
/// that it is not us who hang up while a request is on its way.
const IDLE_TICKS: u32 = 900;

/// The server's side of HTTP/2, with every limit set.
pub(crate) fn http2() -> http2::Builder<OnThisThread> {
    let mut builder = http2::Builder::new(OnThisThread);
    builder
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .auto_date_header(false);
    builder
}

/// What a worker can see of a connection, and tell it.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    requests: Cell<u32>,
    served: Cell<bool>,
    http2: Cell<bool>,
    read_at: Cell<u32>,
    /// When the head that has not come whole began to.
    head_since: Cell<Option<u32>>,
    cut: Cell<bool>,
    /// From where it calls.
    peer: RefCell<Option<Rc<str>>>,
    waker: RefCell<Option<Waker>>,
}

/// A request is being answered on this connection.
pub(crate) struct Busy(Rc<Presence>);

impl Presence {
    /// From where it calls, once that is known.
    pub(crate) fn peer(&self) -> Option<Rc<str>> {
        self.peer.borrow().clone()
    }

    /// It calls from this address.
    pub(crate) fn comes_from(&self, address: &str) {
        *self.peer.borrow_mut() = Some(address.into());
    }

    pub(crate) fn new(tick: u32) -> Rc<Self> {
        Rc::new(Self {
            read_at: Cell::new(tick),
            head_since: Cell::new(Some(tick)),
            ..Self::default()
        })
    }

    pub(crate) fn busy(self: &Rc<Self>) -> Busy {
        self.requests.set(self.requests.get() + 1);
        self.head_since.set(None);
        self.served.set(true);
        Busy(self.clone())
    }

    /// Bytes came. Between requests of HTTP/1.1 they begin a head.
    pub(crate) fn read(&self, tick: u32) {
        let between = self.requests.get() == 0 && !self.http2.get();
        if between && self.head_since.get().is_none() {
            self.head_since.set(Some(tick));
        }
        self.read_at.set(tick);
    }

    /// Frames are not heads: only idleness is measured from here on.
    fn speaks_http2(&self) {
        self.http2.set(true);
        self.head_since.set(None);
    }

    /// Lets the worker wake this task.
    pub(crate) fn attend(&self, cx: &Context<'_>) {
        self.waker
            .borrow_mut()
            .get_or_insert_with(|| cx.waker().clone());
    }

    /// Whether a request has come on it.
    pub(crate) fn has_served(&self) -> bool {
        self.served.get()
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    /// Once a second: cuts the connection off if it has been too slow or idle for too long.
    pub(crate) fn tick(&self, now: u32) {
        let over = |since: u32, limit: u32| now.wrapping_sub(since) > limit;
        let slow = self
            .head_since
            .get()
            .is_some_and(|since| over(since, HEAD_TICKS));
        let idle = self.requests.get() == 0 && over(self.read_at.get(), IDLE_TICKS);
        if slow || idle {
            self.cut();
        }
    }

    /// Ends the connection now.
    pub(crate) fn cut(&self) {
        self.cut.set(true);
        self.wake();
    }

    /// Has the connection look at the worker's orders.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get().saturating_sub(1));
    }
}

/// Serves one connection to its end.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    presence: Rc<Presence>,
    stream: TcpStream,
    number: u64,
) {
    let Some((begun, stream)) = relay::serve(&worker, &presence, stream).await else {
        return;
    };
    presence.speaks_http2();
    let stream = TokioIo::new(Watched {
        begun,
        inner: stream,
        presence: presence.clone(),
        worker: worker.clone(),
    });
    let requests = service_fn({
        let (worker, presence) = (worker.clone(), presence.clone());
        move |request: Request<Incoming>| {
            let (worker, busy) = (worker.clone(), presence.busy());
            let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
            let caller = worker.caller(&presence, header);
            async move {
                let answer = if route::is_grpc(&request) {
                    grpc::answer(worker, request, number, caller).await
                } else {
                    http::answer(worker, request, caller).await
                };
                Ok::<_, Infallible>(answer.map(|body| body.keeping(busy)))
            }
        }
    });
    let mut connection = pin!(worker.http2.serve_connection(stream, requests));
    let mut told = false;
    poll_fn(|cx| {
        presence.attend(cx);
        if presence.is_cut() {
            return Poll::Ready(());
        }
        let away = worker.draining.get() || (worker.away.get() && presence.has_served());
        if away && !told {
            told = true;
            connection.as_mut().graceful_shutdown();
        }
        // How a connection ends is told by its requests; there is nobody else to tell.
        connection.as_mut().poll(cx).map(drop)
    })
    .await;
}

/// The application's stream, with an eye on when something came.
struct Watched {
    /// What was read before the protocol was known.
    begun: Vec<u8>,
    inner: TcpStream,
    presence: Rc<Presence>,
    worker: Rc<Worker>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let taken = self.begun.len().min(buffer.remaining());
            buffer.put_slice(self.begun.get(..taken).unwrap_or_default());
            self.begun.drain(..taken);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            self.presence.read(self.worker.tick.get());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }
}
