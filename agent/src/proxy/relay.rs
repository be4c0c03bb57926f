//! HTTP/1.1: each request relayed over a connection to the upstream, its bytes passed as they
//! come, its head written anew.
//!
//! One task serves an application's connection and the upstream's that carries its request,
//! so that nothing is handed from task to task; buffers are lent only while bytes wait. Says
//! nothing of HTTP/2: a connection that begins with its preface is handed back.

pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod wire;

mod exchange;

use std::{
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http::StatusCode;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use self::{
    exchange::{Exchange, Sending, Verdict},
    framing::Framing,
    head::{Asked, Refused},
    wire::{MAX_HEAD_BYTES, Wire},
};
use super::{
    answer::NoAnswer,
    connection::Presence,
    route,
    tap::{Origin, Tap, Tapped},
    ticket::{Target, Ticket},
    worker::Worker,
};

/// How HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long an application may go on sending what nobody will read, so that it gets to read
/// why; after that it is cut off.
const LINGER: Duration = Duration::from_secs(2);

/// What an application that asks before it sends is told.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection that speaks HTTP/2: what was read of it, and its socket.
pub(crate) type Http2 = (Vec<u8>, TcpStream);

/// A request whose head has been read.
struct Begun {
    sending: Sending,
    ticket: Option<Ticket>,
    keep_alive: bool,
    expects_continue: bool,
    asked: Asked,
    /// It is to be answered by us.
    own: Option<NoAnswer>,
}

enum Next {
    Request(Box<Begun>),
    Http2,
    Refused(Refused),
    Over,
}

/// Serves a connection to its end, or until it shows to be of HTTP/2.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    presence: &Rc<Presence>,
    stream: TcpStream,
) -> Option<Http2> {
    let mut client = Wire::new(stream);
    loop {
        match poll_fn(|cx| next(worker, presence, &mut client, cx)).await {
            Next::Over => return None,
            Next::Http2 => return Some(client.into_parts()),
            Next::Refused(why) => {
                refuse(worker, &mut client, why.status()).await;
                return None;
            }
            Next::Request(begun) => {
                let _busy = presence.busy();
                if !relay(worker, presence, &mut client, *begun).await {
                    return None;
                }
            }
        }
    }
}

/// Reads up to the end of the next head.
fn next(
    worker: &Rc<Worker>,
    presence: &Rc<Presence>,
    client: &mut Wire,
    cx: &mut Context<'_>,
) -> Poll<Next> {
    presence.attend(cx);
    loop {
        if !client.bytes().is_empty() {
            if PREFACE.starts_with(client.bytes()) || client.bytes().starts_with(PREFACE) {
                if client.bytes().len() >= PREFACE.len() {
                    return Poll::Ready(Next::Http2);
                }
            } else {
                match begin(worker, presence, client) {
                    Ok(Some(begun)) => return Poll::Ready(Next::Request(Box::new(begun))),
                    Ok(None) if !client.has_room() => {
                        return Poll::Ready(Next::Refused(Refused::TooLarge));
                    }
                    Ok(None) => {}
                    Err(why) => return Poll::Ready(Next::Refused(why)),
                }
            }
        }
        // One that is new is asked once more: it may be a load balancer's question.
        let away = worker.draining.get() || (worker.away.get() && presence.has_served());
        if presence.is_cut() || (away && client.bytes().is_empty()) {
            return Poll::Ready(Next::Over);
        }
        match client.poll_fill(cx, &worker.buffers) {
            Poll::Ready(Ok(1..)) => presence.read(worker.tick.get()),
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
            Poll::Pending => {
                client.rest(&worker.buffers);
                return Poll::Pending;
            }
        }
    }
}

/// Begins a request if its head is whole.
fn begin(
    worker: &Rc<Worker>,
    presence: &Presence,
    client: &mut Wire,
) -> Result<Option<Begun>, Refused> {
    let mut out = worker.heads.borrow_mut().pop().unwrap_or_default();
    let authority = worker.upstream.authority();
    let (mut copying, mut caller) = (None, None);
    let head = head::request(client.bytes(), authority, &mut out, |line| {
        let chosen = worker.choose(line.method, line.path, |name| line.header(name))?;
        copying = chosen.copying;
        caller = worker.caller(presence, |name| line.header(name));
        Some((chosen.leg, chosen.then))
    })?;
    let Some(head) = head else {
        if client.bytes().len() >= MAX_HEAD_BYTES {
            return Err(Refused::TooLarge);
        }
        return Ok(None);
    };
    if head.length > MAX_HEAD_BYTES {
        return Err(Refused::TooLarge);
    }
    let (mut ticket, own, tapped) = counted(worker, &head);
    if let (Some(ticket), Some(caller)) = (&mut ticket, &caller) {
        ticket.caller(caller);
    }
    let keep_alive = head.keep_alive && !worker.turns_away();
    let asked = Asked {
        head_only: head.method == "HEAD",
        close: !keep_alive,
    };
    let (framing, length) = (head.framing, head.length);
    if let Some(copying) = &mut copying {
        copying.asked_in(head.json_bytes);
        if framing == Framing::CHUNKED {
            copying.spoil_request();
        }
    }
    let (expects_continue, leg) = (head.expects_continue, head.leg);
    client.consume(length);
    Ok(Some(Begun {
        sending: Sending::new(out, framing, leg, tapped, copying),
        ticket,
        keep_alive,
        expects_continue,
        asked,
        own,
    }))
}

/// The ticket of a request, an answer of our own if it gets one, and a copy for the tap.
fn counted(worker: &Rc<Worker>, head: &head::RequestHead<'_>) -> Counted {
    let path = head.target.split('?').next().unwrap_or_default();
    match route::asked(head.method, path, false) {
        route::Asked::Infer { model, version } => {
            let leg = head.leg.as_ref();
            let ticket = worker.recorder.begin_at(leg, &model, &version);
            let (model, version) = match leg {
                Some(leg) => (&*leg.model, &*leg.version),
                None => (&*model, &*version),
            };
            let tapped = worker.recorder.sample().map(|tap| {
                let (model, version) = (model.into(), version.into());
                let json_bytes = head.json_bytes;
                copy(
                    tap,
                    Origin::Http {
                        model,
                        version,
                        json_bytes,
                    },
                )
            });
            (Some(ticket), None, tapped)
        }
        route::Asked::InferUnreadable => (Some(worker.recorder.begin(Target::Unnamed)), None, None),
        route::Asked::Ready if worker.turns_away() => (None, Some(NoAnswer::Draining), None),
        route::Asked::Ready
        | route::Asked::Else
        | route::Asked::About { .. }
        | route::Asked::GrpcInfer
        | route::Asked::GrpcStream
        | route::Asked::GrpcAbout => {
            let tunnel = (head.method == "CONNECT").then_some(NoAnswer::Tunnel);
            (None, tunnel, None)
        }
    }
}

/// See [`counted`].
type Counted = (Option<Ticket>, Option<NoAnswer>, Option<(Tap, Tapped)>);

fn copy(tap: &Tap, origin: Origin) -> (Tap, Tapped) {
    (tap.clone(), tap.open(origin))
}

/// Relays one request. True if the connection may have another.
async fn relay(
    worker: &Rc<Worker>,
    presence: &Rc<Presence>,
    client: &mut Wire,
    begun: Begun,
) -> bool {
    let Begun {
        sending,
        ticket,
        keep_alive,
        expects_continue,
        asked,
        own,
    } = begun;
    if expects_continue
        && client.bytes().is_empty()
        && client.stream.write_all(CONTINUE).await.is_err()
    {
        return false;
    }
    let mut exchange = Exchange::new(worker, client, sending, ticket, asked);
    let verdict = match own {
        Some(why) => Verdict::Own(why),
        None => exchange.run(presence).await,
    };
    match verdict {
        Verdict::Answered => exchange.settle(LINGER).await && keep_alive,
        Verdict::Own(why) => exchange.answer(&why, LINGER).await && keep_alive,
        Verdict::Malformed => {
            drop(exchange);
            refuse(worker, client, StatusCode::BAD_REQUEST).await;
            false
        }
        Verdict::Broken => false,
    }
}

/// Answers what is no request, and hangs up in a way that lets the answer be read.
async fn refuse(worker: &Rc<Worker>, client: &mut Wire, status: StatusCode) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    if client.stream.write_all(head.as_bytes()).await.is_err()
        || client.stream.shutdown().await.is_err()
    {
        return;
    }
    // A socket closed with bytes unread resets, and the reset overtakes the answer.
    let drained = poll_fn(|cx| {
        loop {
            client.consume(client.bytes().len());
            match client.poll_fill(cx, &worker.buffers) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let _ = tokio::time::timeout(LINGER, drained).await;
}
