//! One HTTP request: sent over a link to the upstream, its answer passed back as it comes.
//!
//! Bodies stream in both directions and are never gathered. A request of HTTP/2 that is not
//! gRPC travels on as HTTP/1.1, which every inference server speaks.

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{
    answer::{AnswerBody, Broken, NoAnswer},
    headers,
    link::{HttpRequest, Link},
    route::{self, Asked},
    routes::{Leg, VERSION_HEADER},
    tap::{Origin, TapBody},
    ticket::{Target, Ticket, of_status},
    worker::Worker,
};
use crate::{clock, window::Outcome};

/// How many bytes of JSON come before the tensors, in the binary tensor extension.
const JSON_BYTES: &str = "inference-header-content-length";

/// Answers one request.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    request: Request<Incoming>,
    caller: Option<Rc<str>>,
) -> Response<AnswerBody> {
    let path = request.uri().path();
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    let chosen = worker.choose(request.method().as_str(), path, header);
    // Not copied: what is no gRPC over HTTP/2 is a rare thing.
    let leg = chosen.as_ref().map(|chosen| chosen.leg.clone());
    let instead = chosen.map(|chosen| format!("{}{}", chosen.leg.path(), chosen.then));
    let (ticket, body_origin) = match route::asked(request.method().as_str(), path, false) {
        Asked::Infer { model, version } => {
            let mut ticket = worker.recorder.begin_at(leg.as_ref(), &model, &version);
            if let Some(caller) = &caller {
                ticket.caller(caller);
            }
            let (model, version) = match &leg {
                Some(leg) => (&*leg.model, &*leg.version),
                None => (&*model, &*version),
            };
            let tap = worker.recorder.sample().map(|tap| {
                let json_bytes = request.headers().get(JSON_BYTES).and_then(number);
                let (model, version) = (model.into(), version.into());
                (
                    tap,
                    Origin::Http {
                        model,
                        version,
                        json_bytes,
                    },
                )
            });
            (Some(ticket), tap)
        }
        Asked::InferUnreadable => (Some(worker.recorder.begin(Target::Unnamed)), None),
        Asked::Ready if worker.turns_away() => {
            return own(&worker, None, &NoAnswer::Draining);
        }
        Asked::Ready
        | Asked::About { .. }
        | Asked::Else
        | Asked::GrpcInfer
        | Asked::GrpcStream
        | Asked::GrpcAbout => (None, None),
    };
    if request.method() == Method::CONNECT {
        return own(&worker, ticket, &NoAnswer::Tunnel);
    }
    let request = prepared(request, worker.upstream.authority(), instead);
    let request = request.map(|body| {
        HttpRequest::new(match body_origin {
            Some((tap, origin)) => TapBody::tapped(body, tap, origin),
            None => TapBody::untapped(body),
        })
    });
    let mut exchange = Exchange {
        ticket,
        leg,
        patience: Patience::new(&worker),
    };
    match exchange.send(&worker, request).await {
        Ok((answer, link)) => exchange.pass(&worker, answer, link),
        Err(why) => own(&worker, exchange.ticket, &why),
    }
}

fn number(value: &HeaderValue) -> Option<usize> {
    value.to_str().ok()?.parse().ok()
}

/// The request as it goes to the upstream, with another path if a route leads there.
fn prepared(
    mut request: Request<Incoming>,
    authority: &str,
    instead: Option<String>,
) -> Request<Incoming> {
    let host = request
        .uri()
        .authority()
        .map(|given| given.as_str().to_owned());
    headers::with_host(request.headers_mut(), host.as_deref().unwrap_or(authority));
    headers::of_request(request.headers_mut());
    if host.is_some()
        && let Some(path) = request.uri().path_and_query().cloned()
    {
        *request.uri_mut() = Uri::from(path);
    }
    if let Some(mut path) = instead {
        if let Some(query) = request.uri().query() {
            path.push('?');
            path.push_str(query);
        }
        let path = Uri::try_from(path).expect("an escaped path and a query that was parsed");
        *request.uri_mut() = path;
    }
    *request.version_mut() = Version::HTTP_11;
    request
}

/// What we say ourselves.
fn own(worker: &Worker, ticket: Option<Ticket>, why: &NoAnswer) -> Response<AnswerBody> {
    let answer = why.http(&worker.upstream);
    if let Some(mut ticket) = ticket {
        ticket.outcome(why.outcome());
        ticket.response_bytes = answer.body().len() as u64;
    }
    answer.map(AnswerBody::own)
}

/// A request whose answer is awaited.
struct Exchange {
    ticket: Option<Ticket>,
    /// The version that it goes to, where it named an endpoint.
    leg: Option<Arc<Leg>>,
    patience: Patience,
}

impl Exchange {
    async fn send(
        &mut self,
        worker: &Rc<Worker>,
        mut request: Request<HttpRequest>,
    ) -> Result<(Response<Incoming>, Box<Link>), NoAnswer> {
        loop {
            let parked = poll_fn(|cx| Poll::Ready(worker.pool.take(cx))).await;
            let fresh = parked.is_none();
            let mut link = match parked {
                Some(link) => link,
                None => worker.pool.dial().await?,
            };
            let sent = link.send(request);
            let mut sent = std::pin::pin!(sent);
            let answer = poll_fn(|cx| {
                // First the connection, so that the answer is there to be taken after it.
                let _ = link.poll(cx);
                match sent.as_mut().poll(cx) {
                    Poll::Ready(answer) => Poll::Ready(Ok(answer)),
                    Poll::Pending => self.patience.poll(cx, &link).map(Err),
                }
            })
            .await;
            match answer {
                Ok(Ok(answer)) => return Ok((answer, link)),
                Ok(Err(mut refused)) => match refused.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => {
                        self.count_sent(&link);
                        return Err(blame(&refused.into_error()));
                    }
                },
                Err(why) => {
                    self.count_sent(&link);
                    return Err(why);
                }
            }
        }
    }

    fn count_sent(&mut self, link: &Link) {
        if let Some(ticket) = &mut self.ticket {
            ticket.request_bytes = link.progress.bytes.get();
        }
    }

    fn pass(
        mut self,
        worker: &Rc<Worker>,
        answer: Response<Incoming>,
        link: Box<Link>,
    ) -> Response<AnswerBody> {
        self.patience.rest();
        let (mut head, body) = answer.into_parts();
        headers::of_answer(&mut head.headers);
        if let Some(leg) = &self.leg {
            head.headers.insert(VERSION_HEADER, leg.header());
        }
        head.version = Version::HTTP_11;
        let end = of_status(head.status);
        let body = HttpAnswer {
            inner: body,
            link: Some(link),
            exchange: self,
            worker: worker.clone(),
            end,
            ended: false,
        };
        Response::from_parts(head, AnswerBody::http(body))
    }
}

/// Whether a request failed on the application's side or on the upstream's.
fn blame(error: &hyper::Error) -> NoAnswer {
    if error.is_user() {
        // Our body failed, which is the application's: it left in the middle of it.
        NoAnswer::ClientStalled
    } else {
        NoAnswer::HungUp
    }
}

/// An answer on its way back. Dropped before its end, it is an application that left.
pub(crate) struct HttpAnswer {
    inner: Incoming,
    link: Option<Box<Link>>,
    exchange: Exchange,
    worker: Rc<Worker>,
    end: Outcome,
    ended: bool,
}

impl HttpAnswer {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(link) = &mut self.link {
            let _ = link.poll(cx);
        }
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.exchange.patience.rest();
                if let (Some(ticket), Some(data)) = (&mut self.exchange.ticket, frame.data_ref()) {
                    ticket.response_bytes += data.len() as u64;
                }
                // Nothing comes after trailers, and nobody asks.
                self.ended |= frame.is_trailers();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(self.broken(NoAnswer::HungUp)))),
            Poll::Ready(None) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(link) = &self.link else {
                    return Poll::Pending;
                };
                match self.exchange.patience.poll(cx, link) {
                    Poll::Ready(why) => Poll::Ready(Some(Err(self.broken(why)))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }

    fn broken(&mut self, why: NoAnswer) -> Broken {
        self.link = None;
        self.end = why.outcome();
        self.ended = true;
        Broken
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for HttpAnswer {
    fn drop(&mut self) {
        let whole = self.ended || self.inner.is_end_stream();
        let Some(link) = self.link.take() else {
            if let Some(ticket) = &mut self.exchange.ticket {
                ticket.outcome(self.end);
            }
            return;
        };
        self.exchange.count_sent(&link);
        if whole {
            if let Some(ticket) = &mut self.exchange.ticket {
                ticket.outcome(self.end);
            }
            self.worker.pool.park(link);
        }
    }
}

/// How long the upstream may be silent. The timer is armed once in a while, not for each
/// request: it is lent by the worker and may go off early, which only makes it look again.
pub(crate) struct Patience {
    worker: Rc<Worker>,
    limit: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(crate) fn new(worker: &Rc<Worker>) -> Self {
        Self {
            worker: worker.clone(),
            limit: worker.upstream_timeout,
            waiting_since: None,
            timer: None,
        }
    }

    /// Something came: the silence is over.
    pub(crate) fn rest(&mut self) {
        self.waiting_since = None;
    }

    /// Nothing came: is it too long now?
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<NoAnswer> {
        if link.progress.moved.take() {
            self.rest();
        }
        match self.poll_silence(cx) {
            Poll::Ready(()) if link.progress.whole.get() => Poll::Ready(NoAnswer::TimedOut),
            Poll::Ready(()) => Poll::Ready(NoAnswer::ClientStalled),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready when the silence has lasted too long.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self
            .waiting_since
            .get_or_insert_with(|| Instant::from_std(clock::now()));
        let deadline = since + self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| self.worker.timer(deadline));
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() >= deadline || Instant::from_std(clock::now()) >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.worker.keep_timer(timer);
        }
    }
}
