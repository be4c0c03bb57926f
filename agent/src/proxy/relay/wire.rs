//! One connection's bytes: a socket, and what was read from it and not used yet.
//!
//! A buffer is lent by the worker when bytes come and given back when they are used up, so
//! that an idle connection holds none.

use std::{
    cell::{Cell, RefCell},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::proxy::{Upstream, answer::NoAnswer, link};

/// Bytes of one buffer: a row and its head many times over, and few system calls for more.
const BUFFER_BYTES: usize = 16 << 10;

/// Bytes of one head, of a request or an answer: what proxies in front of us let through,
/// and more.
pub(crate) const MAX_HEAD_BYTES: usize = 64 << 10;

/// Buffers kept for the next bytes that come; more than this is a burst that has passed.
const MAX_KEPT: usize = 64;

/// Links that wait idle in one worker: as many as requests were in flight at once, up to
/// what a server bears of connections that do nothing.
const MAX_IDLE: usize = 256;

/// Ticks of a worker (seconds) that a link may wait: common servers hang up after five.
const MAX_IDLE_TICKS: u32 = 4;

/// The buffers of one worker that nobody uses.
#[derive(Default)]
pub(crate) struct Buffers(RefCell<Vec<Vec<u8>>>);

impl Buffers {
    fn lend(&self) -> Vec<u8> {
        let kept = self.0.borrow_mut().pop();
        kept.unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    fn keep(&self, buffer: Vec<u8>) {
        let mut kept = self.0.borrow_mut();
        if buffer.len() == BUFFER_BYTES && kept.len() < MAX_KEPT {
            kept.push(buffer);
        }
    }
}

/// A connection, of an application or to the upstream.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// Empty when none is lent; else of its full length.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    parked_at: u32,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            parked_at: 0,
        }
    }

    /// What was read and not used.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// These bytes are used.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Whether more may be read: at most a head may wait to be used.
    pub(crate) fn has_room(&self) -> bool {
        self.end - self.start < MAX_HEAD_BYTES
    }

    /// Reads what there is. 0 is the other side's end. Only with room.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            ready!(self.stream.poll_read_ready(cx))?;
            self.buffer = buffers.lend();
        }
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.end += read;
        Poll::Ready(Ok(read))
    }

    /// Writes a head and bytes behind it, as much as the socket takes.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        head: &[u8],
        body: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        match (head.is_empty(), body.is_empty()) {
            (true, _) => stream.poll_write(cx, body),
            (false, true) => stream.poll_write(cx, head),
            (false, false) => {
                let slices = [io::IoSlice::new(head), io::IoSlice::new(body)];
                stream.poll_write_vectored(cx, &slices)
            }
        }
    }

    /// Gives the buffer back if nothing in it waits.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.start == self.end && !self.buffer.is_empty() {
            buffers.keep(std::mem::take(&mut self.buffer));
            (self.start, self.end) = (0, 0);
        }
    }

    /// What was read and not used, and the socket, for another protocol.
    pub(crate) fn into_parts(self) -> (Vec<u8>, TcpStream) {
        (self.bytes().to_vec(), self.stream)
    }
}

/// The idle links of one worker: a stack, so that few are kept warm.
pub(crate) struct Links {
    upstream: Upstream,
    idle: RefCell<Vec<Wire>>,
    tick: Cell<u32>,
}

impl Links {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            idle: RefCell::default(),
            tick: Cell::new(0),
        }
    }

    /// A link that has waited and still stands: an upstream that has something to say on an
    /// idle connection says goodbye.
    pub(crate) fn take(&self, cx: &mut Context<'_>) -> Option<Wire> {
        loop {
            let link = self.idle.borrow_mut().pop()?;
            if link.stream.poll_read_ready(cx).is_pending() {
                return Some(link);
            }
        }
    }

    /// Gives a link back whose answer has been read to its end.
    pub(crate) fn park(&self, mut link: Wire) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE && link.bytes().is_empty() {
            link.parked_at = self.tick.get();
            idle.push(link);
        }
    }

    /// Once a second: hangs up on links that have waited too long.
    pub(crate) fn tick(&self) {
        let now = self.tick.get().wrapping_add(1);
        self.tick.set(now);
        let keep = |link: &mut Wire| now.wrapping_sub(link.parked_at) <= MAX_IDLE_TICKS;
        self.idle.borrow_mut().retain_mut(keep);
    }

    /// A new link.
    pub(crate) async fn dial(&self) -> Result<Wire, NoAnswer> {
        Ok(Wire::new(link::dial(&self.upstream).await?))
    }
}
