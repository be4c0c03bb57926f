//! One gRPC call: forwarded frame by frame over HTTP/2, while names, messages and the status
//! are read as they pass.
//!
//! `ModelInfer` counts as one request, from its head to the end of its answer.
//! `ModelStreamInfer` counts each message of the application as one request, begun when its
//! last byte has passed; each message of the server ends the oldest that is open, and the end
//! of the stream ends the rest with its status. So requests counted are messages sent,
//! whatever the server makes of them; where it answers one message with several, the time is
//! that of the first.
//!
//! Where there are routes, each message is led to the version that its endpoint's route chooses.
//! Metadata tells an application which version that was where a call has one answer; in a
//! stream each answer names its version itself.

mod request;

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

pub(crate) use self::request::GrpcRequest;
use self::request::Routing;
use super::{
    answer::{AnswerBody, Broken, NoAnswer},
    headers,
    http::Patience,
    link::Unforwarded,
    message::{Passed, Reader},
    route::{self, Asked},
    routes::{Leg, VERSION_HEADER},
    splice::Overrun,
    tap::{Origin, TapBody},
    ticket::{Recorder, Target, Ticket, of_grpc_status, of_status},
    worker::Worker,
};
use crate::window::Outcome;

/// Where gRPC says how a call ended.
const STATUS: &str = "grpc-status";

/// Messages of one stream that wait for their answers. When more do, the server answers
/// fewer messages than it gets, and the oldest counts as taken.
const MAX_OPEN: usize = 1024;

/// Bytes and time spent on finding the name in a request that cannot be forwarded.
const MAX_NAME_SEARCH_BYTES: usize = 64 << 10;
const NAME_SEARCH: Duration = Duration::from_millis(100);

/// What is counted of one call.
pub(crate) struct Call {
    recorder: Rc<Recorder>,
    caller: Option<Rc<str>>,
    counts: Counts,
    request: Reader,
    answer: Reader,
    routing: Option<Routing>,
    /// A message of it cannot be sent on.
    overrun: bool,
    /// A message has passed whole.
    passed: bool,
    /// Something has passed, so that the upstream's silence begins anew.
    moved: bool,
    whole: bool,
}

enum Counts {
    One(Option<Ticket>),
    Each(VecDeque<Ticket>),
    Nothing,
}

pub(crate) type SharedCall = Rc<RefCell<Call>>;

/// Answers one call.
pub(crate) async fn answer(
    worker: Rc<Worker>,
    request: Request<Incoming>,
    connection: u64,
    caller: Option<Rc<str>>,
) -> Response<AnswerBody> {
    let recorder = &worker.recorder;
    let asked = route::asked(request.method().as_str(), request.uri().path(), true);
    let counts = match asked {
        Asked::GrpcInfer => Counts::One(Some(recorder.begin(Target::Unnamed))),
        Asked::GrpcStream => Counts::Each(VecDeque::new()),
        Asked::GrpcAbout
        | Asked::About { .. }
        | Asked::Infer { .. }
        | Asked::InferUnreadable
        | Asked::Ready
        | Asked::Else => Counts::Nothing,
    };
    let routing = Routing::of(&worker, &asked, request.headers());
    let tap = match counts {
        Counts::One(_) => recorder.sample(),
        Counts::Each(_) | Counts::Nothing => None,
    };
    let mut call = Call::new(recorder.clone(), counts, routing);
    call.called_by(caller);
    let call = Rc::new(RefCell::new(call));
    let mut ending = Ending {
        call: call.clone(),
        patience: Patience::new(&worker),
        outcome: Outcome::ClientGone,
    };
    let mut request = prepared(request, worker.grpc_upstream.authority()).map(|body| GrpcRequest {
        inner: match tap {
            Some(tap) => TapBody::tapped(body, tap, Origin::Grpc),
            None => TapBody::untapped(body),
        },
        call,
        trailers: None,
    });
    if request.body().call.borrow().routing.is_some() {
        // A message that names its version is longer than the one that came.
        request.headers_mut().remove(CONTENT_LENGTH);
    }
    let sent = worker.grpc_links.send(connection, request);
    let mut sent = std::pin::pin!(sent);
    let answer = poll_fn(|cx| match sent.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(answer),
        Poll::Pending => ending
            .poll_patience(cx)
            .map(|why| Err(Unforwarded::new(why, None))),
    });
    match answer.await {
        Ok(answer) => ending.pass(answer),
        Err(unforwarded) => {
            let Unforwarded { mut why, request } = *unforwarded;
            if ending.call.borrow().overrun {
                why = NoAnswer::Overrun;
            }
            if let Some(request) = request {
                find_name(request.into_body()).await;
            }
            ending.outcome = why.outcome();
            drop(ending);
            why.grpc(&worker.grpc_upstream).map(AnswerBody::own)
        }
    }
}

/// The request as it goes to the upstream.
fn prepared(mut request: Request<Incoming>, authority: &str) -> Request<Incoming> {
    headers::of_request(request.headers_mut());
    // HTTP/1.1 has no authority in its path; gRPC over it is no gRPC, but is not ours to judge.
    if request.uri().authority().is_none() {
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(http::uri::Scheme::HTTP);
        parts.authority = authority.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    *request.version_mut() = http::Version::HTTP_2;
    request
}

/// Reads a request that goes nowhere until it has named its model, so that what was refused
/// is counted where it belongs.
async fn find_name(mut body: GrpcRequest) {
    let mut read = 0;
    let search = poll_fn(|cx| {
        loop {
            if body.call.borrow().is_named() || read > MAX_NAME_SEARCH_BYTES {
                return Poll::Ready(());
            }
            match Pin::new(&mut body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => read += frame.data_ref().map_or(1, Bytes::len),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    });
    let _ = tokio::time::timeout(NAME_SEARCH, search).await;
}

impl Call {
    fn new(recorder: Rc<Recorder>, counts: Counts, routing: Option<Routing>) -> Self {
        Self {
            recorder,
            caller: None,
            counts,
            request: Reader::default(),
            answer: Reader::default(),
            routing,
            overrun: false,
            passed: false,
            moved: false,
            whole: false,
        }
    }

    /// Who calls.
    fn called_by(&mut self, caller: Option<Rc<str>>) {
        if let (Counts::One(Some(ticket)), Some(caller)) = (&mut self.counts, &caller) {
            ticket.caller(caller);
        }
        self.caller = caller;
    }

    fn is_named(&self) -> bool {
        self.passed || self.request.named() || matches!(self.counts, Counts::Nothing)
    }

    /// The version that its one message goes to; a stream has no such thing.
    fn leg(&self) -> Option<&Arc<Leg>> {
        match &self.counts {
            Counts::One(_) | Counts::Nothing => self.routing.as_ref()?.splice.leg(),
            Counts::Each(_) => None,
        }
    }

    /// A chunk of the request passes.
    fn sent(&mut self, chunk: &Bytes) -> Result<(), Overrun> {
        match &mut self.counts {
            Counts::Nothing if self.routing.is_none() => return Ok(()),
            Counts::One(Some(ticket)) => ticket.request_bytes += chunk.len() as u64,
            Counts::One(None) | Counts::Each(_) | Counts::Nothing => {}
        }
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            // What follows the one message is the server's to refuse.
            if self.passed && !matches!(self.counts, Counts::Each(_)) {
                if let Some(routing) = &mut self.routing {
                    routing.splice.pass(rest);
                }
                return Ok(());
            }
            let (message, left) = self.request.read(&rest);
            let piece = rest.split_to(rest.len() - left.len());
            if let Some(routing) = &mut self.routing {
                routing.take(piece, &self.request, message.as_ref())?;
            }
            let Some(message) = message else { continue };
            self.passed = true;
            self.message_sent(&message);
        }
        Ok(())
    }

    /// A message has passed whole: in a stream that is a request.
    fn message_sent(&mut self, message: &Passed) {
        let Counts::Each(open) = &mut self.counts else {
            return;
        };
        let mut ticket = self.recorder.begin(Target::Unnamed);
        if let Some(caller) = &self.caller {
            ticket.caller(caller);
        }
        ticket.request_bytes = message.bytes;
        match self
            .routing
            .as_ref()
            .and_then(|routing| routing.splice.leg())
        {
            Some(leg) => ticket.route(leg),
            None => {
                if let Some((model, version)) = self.request.names() {
                    ticket.name(model, version);
                }
            }
        }
        if open.len() >= MAX_OPEN
            && let Some(mut oldest) = open.pop_front()
        {
            oldest.outcome(Outcome::Ok);
        }
        open.push_back(ticket);
    }

    /// A chunk of the answer passes.
    fn answered(&mut self, mut chunk: &[u8]) {
        match &mut self.counts {
            Counts::Nothing => {}
            Counts::One(ticket) => {
                if let Some(ticket) = ticket {
                    ticket.response_bytes += chunk.len() as u64;
                }
                if let Some(copying) = self.routing.as_mut().and_then(|of| of.copying.as_mut()) {
                    copying.answer(chunk);
                }
            }
            Counts::Each(open) => {
                while !chunk.is_empty() {
                    let (message, rest) = self.answer.read(chunk);
                    chunk = rest;
                    let Some(message) = message else { return };
                    if let Some(mut ticket) = open.pop_front() {
                        ticket.response_bytes = message.bytes;
                        ticket.outcome(if self.answer.first_is_empty() {
                            Outcome::Ok
                        } else {
                            Outcome::ServerError
                        });
                    }
                }
            }
        }
    }

    /// The application's stream is over. True if something of it is still to pass.
    fn flush(&mut self) -> bool {
        self.routing.as_mut().is_some_and(|routing| {
            routing.splice.end();
            !routing.splice.is_empty()
        })
    }

    /// The call is over.
    fn end(&mut self, outcome: Outcome) {
        match &mut self.counts {
            Counts::Nothing => {}
            Counts::One(ticket) => {
                if let Some(mut ticket) = ticket.take() {
                    let routing = self.routing.as_ref();
                    match routing.and_then(|routing| routing.splice.leg()) {
                        Some(leg) => ticket.route(leg),
                        None => {
                            if let Some((model, version)) = self.request.names() {
                                ticket.name(model, version);
                            }
                        }
                    }
                    ticket.outcome(outcome);
                    let copying = self.routing.as_mut().and_then(|of| of.copying.take());
                    if let Some(copying) = copying.filter(|_| outcome != Outcome::ClientGone) {
                        copying.finish(outcome == Outcome::Ok);
                    }
                }
            }
            Counts::Each(open) => {
                for mut ticket in open.drain(..) {
                    ticket.outcome(outcome);
                }
            }
        }
    }
}

/// Ends the call when it is dropped, wherever that is.
struct Ending {
    call: SharedCall,
    patience: Patience,
    outcome: Outcome,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.call.borrow_mut().end(self.outcome);
    }
}

impl Ending {
    /// A call with one answer may wait for it only so long; a stream may wait for ever.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<NoAnswer> {
        let mut call = self.call.borrow_mut();
        if matches!(call.counts, Counts::Each(_)) {
            return Poll::Pending;
        }
        if std::mem::take(&mut call.moved) {
            self.patience.rest();
        }
        match self.patience.poll_silence(cx) {
            Poll::Ready(()) if call.whole => Poll::Ready(NoAnswer::TimedOut),
            Poll::Ready(()) => Poll::Ready(NoAnswer::ClientStalled),
            Poll::Pending => Poll::Pending,
        }
    }

    fn pass(mut self, answer: Response<Incoming>) -> Response<AnswerBody> {
        let (mut head, body) = answer.into_parts();
        headers::of_answer(&mut head.headers);
        if let Some(leg) = self.call.borrow().leg() {
            head.headers.insert(VERSION_HEADER, leg.header());
        }
        // Trailers only: the head is all there is.
        let status = if body.is_end_stream() {
            Some(self.read_status(&head.headers, head.status))
        } else {
            None
        };
        self.patience.rest();
        let status_of_head = head.status;
        let body = GrpcAnswer {
            inner: body,
            ending: self,
            status,
            status_of_head,
        };
        Response::from_parts(head, AnswerBody::grpc(body))
    }

    fn read_status(&self, headers: &HeaderMap, http: http::StatusCode) -> Outcome {
        match headers.get(STATUS) {
            // A server that speaks no gRPC here answers with a status of HTTP.
            None if !http.is_success() => of_status(http),
            status => of_grpc_status(status),
        }
    }
}

/// The answer of a call on its way back. Dropped before its status has come, it is an
/// application that left.
pub(crate) struct GrpcAnswer {
    inner: Incoming,
    ending: Ending,
    status: Option<Outcome>,
    status_of_head: http::StatusCode,
}

impl GrpcAnswer {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.ending.patience.rest();
                if let Some(chunk) = frame.data_ref() {
                    self.ending.call.borrow_mut().answered(chunk);
                }
                if let Some(trailers) = frame.trailers_ref() {
                    self.status = Some(self.ending.read_status(trailers, self.status_of_head));
                } else if self.inner.is_end_stream() {
                    self.no_trailers();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => {
                self.status = Some(NoAnswer::HungUp.outcome());
                Poll::Ready(Some(Err(Broken)))
            }
            Poll::Ready(None) => {
                self.no_trailers();
                Poll::Ready(None)
            }
            Poll::Pending => self.ending.poll_patience(cx).map(|why| {
                self.status = Some(why.outcome());
                Some(Err(Broken))
            }),
        }
    }

    /// The end came without a status.
    fn no_trailers(&mut self) {
        let none = HeaderMap::new();
        let outcome = self.ending.read_status(&none, self.status_of_head);
        self.status.get_or_insert(outcome);
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for GrpcAnswer {
    fn drop(&mut self) {
        if let Some(outcome) = self.status {
            self.ending.outcome = outcome;
        }
    }
}
