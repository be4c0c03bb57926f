//! The body of a gRPC call on its way to the upstream: each message counted as it passes, and
//! led to its version where there are routes.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::SharedCall;
use crate::proxy::{
    message::{Passed, Reader},
    mirror::Copying,
    route::Asked,
    splice::{Overrun, Splice},
    tap::TapBody,
    worker::Worker,
};

/// The body of a call on its way to the upstream.
pub(crate) struct GrpcRequest {
    pub(super) inner: TapBody<Incoming>,
    pub(super) call: SharedCall,
    /// Came behind bytes that are still to pass.
    pub(super) trailers: Option<Frame<Bytes>>,
}

/// Why the body of a call breaks off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    /// The application's did.
    #[error("the application broke off")]
    Application(#[source] hyper::Error),
    /// A message ends in the middle of a field.
    #[error("a message ends in the middle of a field")]
    Overrun,
}

impl Body for GrpcRequest {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        loop {
            let mut call = this.call.borrow_mut();
            if let Some(piece) = call
                .routing
                .as_mut()
                .and_then(|routing| routing.splice.next())
            {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if let Some(trailers) = this.trailers.take() {
                return Poll::Ready(Some(Ok(trailers)));
            }
            let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
            call.moved = true;
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(why)) => return Poll::Ready(Some(Err(Cut::Application(why)))),
                None => {
                    call.whole = true;
                    if call.flush() {
                        continue;
                    }
                    return Poll::Ready(None);
                }
            };
            call.whole = this.inner.is_end_stream();
            match frame.data_ref() {
                Some(chunk) => {
                    if let Err(Overrun) = call.sent(chunk) {
                        call.overrun = true;
                        return Poll::Ready(Some(Err(Cut::Overrun)));
                    }
                    if call.whole {
                        call.flush();
                    }
                    if call.routing.is_none() {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                None => {
                    call.flush();
                    this.trailers = Some(frame);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let call = self.call.borrow();
        let routing = call.routing.as_ref();
        self.inner.is_end_stream()
            && self.trailers.is_none()
            && routing.is_none_or(|routing| routing.splice.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self.call.borrow().routing {
            // What a message grows by is not known before it has named its model.
            Some(_) => SizeHint::default(),
            None => self.inner.size_hint(),
        }
    }
}

/// How the messages of one call find their versions.
pub(super) struct Routing {
    worker: Rc<Worker>,
    pub(super) splice: Splice,
    /// It asks about a model and not for a prediction.
    about: bool,
    /// What pins and stickiness look at; mostly nothing does.
    headers: Vec<(Box<str>, HeaderValue)>,
    /// The bytes of a message whose version is not chosen yet, for a copy that may be wanted.
    raw: Vec<u8>,
    copies: bool,
    pub(super) copying: Option<Box<Copying>>,
}

impl Routing {
    /// Nothing where there is no route, so that nothing is held back or looked at.
    pub(super) fn of(worker: &Rc<Worker>, asked: &Asked<'_>, headers: &HeaderMap) -> Option<Self> {
        let about = match asked {
            Asked::GrpcInfer | Asked::GrpcStream => false,
            Asked::GrpcAbout => true,
            Asked::About { .. }
            | Asked::Infer { .. }
            | Asked::InferUnreadable
            | Asked::Ready
            | Asked::Else => return None,
        };
        let table = worker.routes.load();
        if table.is_empty() {
            return None;
        }
        let kept = table
            .headers()
            .iter()
            .filter_map(|name| Some((name.clone(), headers.get(&**name)?.clone())));
        Some(Self {
            worker: worker.clone(),
            splice: Splice::default(),
            about,
            headers: kept.collect(),
            raw: Vec::new(),
            copies: matches!(asked, Asked::GrpcInfer) && table.copies(),
            copying: None,
        })
    }

    pub(super) fn take(
        &mut self,
        piece: Bytes,
        reader: &Reader,
        ended: Option<&Passed>,
    ) -> Result<(), Overrun> {
        let (worker, headers, about) = (&self.worker, &self.headers, self.about);
        if self.splice.is_holding() && self.copies {
            self.raw.extend_from_slice(&piece);
        } else if let Some(copying) = &mut self.copying {
            copying.request(&piece);
        }
        let (copies, raw) = (&mut self.copying, &mut self.raw);
        let header = |name: &str| {
            let found = headers.iter().find(|(known, _)| &**known == name);
            found.map(|(_, value)| value.as_bytes())
        };
        self.splice.take(piece, reader, ended, |model, version| {
            let chosen = worker.choose_named((model, version), about, header);
            let (leg, copying) = chosen?;
            *copies = copying;
            if let Some(copying) = copies {
                copying.request(raw);
            }
            Some(leg)
        })?;
        if ended.is_some() || !self.splice.is_holding() {
            self.raw.clear();
        }
        Ok(())
    }
}
