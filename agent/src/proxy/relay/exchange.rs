//! One request on its way and its answer on its way back, both at once.
//!
//! Everything is polled from the one task that owns both sockets. A request is sent a second
//! time only if the first connection took not one byte of it.

use std::{
    future::poll_fn,
    mem,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    framing::{Framing, Malformed},
    head::{self, Asked},
    wire::{MAX_HEAD_BYTES, Wire},
};
use crate::{
    proxy::{
        answer::NoAnswer,
        connection::Presence,
        http::Patience,
        mirror::Copying,
        routes::Leg,
        tap::{Tap, Tapped},
        ticket::{Ticket, of_status},
        worker::Worker,
    },
    window::Outcome,
};

/// How an exchange has ended.
pub(crate) enum Verdict {
    /// The upstream's answer has been passed whole.
    Answered,
    /// The application is to be told why there is none.
    Own(NoAnswer),
    /// The request's body is not HTTP/1.1's, and no answer has begun.
    Malformed,
    /// Either side has gone, or the answer broke off: nothing can be said any more.
    Broken,
}

/// The way to the upstream.
pub(crate) struct Sending {
    head: Vec<u8>,
    sent: usize,
    framing: Framing,
    /// Bytes of the body at the front of the application's buffer that may be sent.
    approved: usize,
    tapped: Option<(Tap, Tapped)>,
    /// The version that it goes to, where it named an endpoint.
    leg: Option<Arc<Leg>>,
    /// A copy of it and of its answer, which some routes want.
    copying: Option<Box<Copying>>,
    state: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Partly,
    Whole,
    /// The upstream takes no more; it may still have something to say.
    Stuck,
}

/// The way back.
struct Answering {
    head: Vec<u8>,
    sent: usize,
    framing: Option<Framing>,
    approved: usize,
    keep_alive: bool,
    json_bytes: Option<usize>,
    outcome: Outcome,
    /// A byte has gone to the application.
    begun: bool,
}

/// Why sending has stopped.
enum Stopped {
    ClientGone,
    Malformed,
    Upstream,
}

pub(crate) struct Exchange<'a> {
    worker: &'a Rc<Worker>,
    client: &'a mut Wire,
    link: Option<Wire>,
    sending: Sending,
    answering: Answering,
    ticket: Option<Ticket>,
    asked: Asked,
    patience: Patience,
}

impl Sending {
    pub(crate) fn new(
        head: Vec<u8>,
        framing: Framing,
        leg: Option<Arc<Leg>>,
        tapped: Option<(Tap, Tapped)>,
        copying: Option<Box<Copying>>,
    ) -> Self {
        Self {
            copying,
            head,
            leg,
            sent: 0,
            framing,
            approved: 0,
            tapped,
            state: Sent::Partly,
        }
    }
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        worker: &'a Rc<Worker>,
        client: &'a mut Wire,
        sending: Sending,
        ticket: Option<Ticket>,
        asked: Asked,
    ) -> Self {
        let head = worker.heads.borrow_mut().pop().unwrap_or_default();
        Self {
            worker,
            client,
            link: None,
            sending,
            answering: Answering {
                head,
                sent: 0,
                framing: None,
                approved: 0,
                keep_alive: false,
                json_bytes: None,
                outcome: Outcome::Ok,
                begun: false,
            },
            ticket,
            asked,
            patience: Patience::new(worker),
        }
    }

    /// Relays until the answer has been passed, or cannot be.
    pub(crate) async fn run(&mut self, presence: &Rc<Presence>) -> Verdict {
        loop {
            let parked = poll_fn(|cx| Poll::Ready(self.worker.links.take(cx))).await;
            let fresh = parked.is_none();
            let link = match parked {
                Some(link) => link,
                None => match self.worker.links.dial().await {
                    Ok(link) => link,
                    Err(why) => return Verdict::Own(why),
                },
            };
            self.link = Some(link);
            let verdict = poll_fn(|cx| self.poll(presence, cx)).await;
            // The stale link took nothing of it, so that the next may have all of it.
            let unsent = self.sending.sent == 0;
            let stale = !fresh && unsent && matches!(verdict, Verdict::Own(NoAnswer::HungUp));
            if !stale {
                self.count(&verdict);
                return verdict;
            }
            self.sending.state = Sent::Partly;
        }
    }

    fn poll(&mut self, presence: &Rc<Presence>, cx: &mut Context<'_>) -> Poll<Verdict> {
        presence.attend(cx);
        if presence.is_cut() {
            return Poll::Ready(Verdict::Broken);
        }
        if self.sending.state == Sent::Partly {
            match self.poll_send(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.sending.state = Sent::Whole,
                Poll::Ready(Err(Stopped::Upstream)) => self.sending.state = Sent::Stuck,
                Poll::Ready(Err(Stopped::ClientGone)) => return Poll::Ready(Verdict::Broken),
                Poll::Ready(Err(Stopped::Malformed)) if !self.answering.begun => {
                    return Poll::Ready(Verdict::Malformed);
                }
                Poll::Ready(Err(Stopped::Malformed)) => return Poll::Ready(Verdict::Broken),
            }
        }
        if let Poll::Ready(verdict) = self.poll_answer(cx) {
            return Poll::Ready(verdict);
        }
        if self.sending.state != Sent::Partly && self.client_has_gone(presence, cx) {
            return Poll::Ready(Verdict::Broken);
        }
        if self.patience.poll_silence(cx).is_ready() {
            return Poll::Ready(self.out_of_patience());
        }
        self.client.rest(&self.worker.buffers);
        if let Some(link) = &mut self.link {
            link.rest(&self.worker.buffers);
        }
        Poll::Pending
    }

    /// Sends what there is of the request.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stopped>> {
        loop {
            self.approve()?;
            let head = self
                .sending
                .head
                .get(self.sending.sent..)
                .unwrap_or_default();
            let body = self
                .client
                .bytes()
                .get(..self.sending.approved)
                .unwrap_or_default();
            if !head.is_empty() || !body.is_empty() {
                let Some(link) = &mut self.link else {
                    return Poll::Ready(Err(Stopped::Upstream));
                };
                let written = match ready!(link.poll_write(cx, head, body)) {
                    Ok(written @ 1..) => written,
                    Ok(0) | Err(_) => return Poll::Ready(Err(Stopped::Upstream)),
                };
                self.patience.rest();
                let of_head = written.min(head.len());
                self.sending.sent += of_head;
                self.sending.approved -= written - of_head;
                self.client.consume(written - of_head);
                continue;
            }
            if self.sending.framing.is_over() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.client.poll_fill(cx, &self.worker.buffers)) {
                Ok(1..) => self.patience.rest(),
                Ok(0) | Err(_) => return Poll::Ready(Err(Stopped::ClientGone)),
            }
        }
    }

    /// Finds what of the application's bytes belongs to the request.
    fn approve(&mut self) -> Result<(), Stopped> {
        let sending = &mut self.sending;
        if sending.approved > 0 || sending.framing.is_over() {
            return Ok(());
        }
        let bytes = self.client.bytes();
        let scanned = sending
            .framing
            .scan(bytes)
            .map_err(|Malformed| Stopped::Malformed)?;
        sending.approved = scanned.bytes;
        if let Some(ticket) = &mut self.ticket {
            ticket.request_bytes += scanned.data;
        }
        if let Some(copying) = &mut sending.copying {
            copying.request(bytes.get(..scanned.bytes).unwrap_or_default());
        }
        if let Some((tap, mut tapped)) = sending.tapped.take() {
            let body = bytes.get(..scanned.bytes).unwrap_or_default();
            // A copy and not a reference, since the buffer is used again at once.
            if body.is_empty() || tap.gather(&mut tapped, &Bytes::copy_from_slice(body)) {
                if sending.framing.is_over() {
                    tap.offer(tapped);
                } else {
                    sending.tapped = Some((tap, tapped));
                }
            }
        }
        Ok(())
    }

    /// Passes what there is of the answer.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        loop {
            let Some(link) = &mut self.link else {
                return Poll::Ready(Verdict::Broken);
            };
            let answering = &mut self.answering;
            match answering.framing {
                None => {
                    let leg = self.sending.leg.as_deref();
                    if !link.bytes().is_empty()
                        && !Self::read_head(link, answering, self.asked, leg)
                    {
                        return Poll::Ready(Verdict::Own(NoAnswer::HungUp));
                    }
                    if let Some(framing) = answering.framing {
                        if let Some(copying) = &mut self.sending.copying {
                            copying.answered_in(answering.json_bytes);
                            if framing == Framing::CHUNKED {
                                copying.spoil_answer();
                            }
                        }
                        continue;
                    }
                }
                Some(framing) => {
                    let mut framing = framing;
                    if answering.approved == 0 && !framing.is_over() {
                        let Ok(scanned) = framing.scan(link.bytes()) else {
                            return Poll::Ready(self.broken_off());
                        };
                        answering.framing = Some(framing);
                        answering.approved = scanned.bytes;
                        if let Some(ticket) = &mut self.ticket {
                            ticket.response_bytes += scanned.data;
                        }
                    }
                    let head = answering.head.get(answering.sent..).unwrap_or_default();
                    let body = link.bytes().get(..answering.approved).unwrap_or_default();
                    if !head.is_empty() || !body.is_empty() {
                        match ready!(self.client.poll_write(cx, head, body)) {
                            Ok(written @ 1..) => {
                                let of_head = written.min(head.len());
                                answering.begun = true;
                                answering.sent += of_head;
                                answering.approved -= written - of_head;
                                if let Some(copying) = &mut self.sending.copying {
                                    let of_body = body.get(..written - of_head);
                                    copying.answer(of_body.unwrap_or_default());
                                }
                                link.consume(written - of_head);
                            }
                            Ok(0) | Err(_) => return Poll::Ready(Verdict::Broken),
                        }
                        continue;
                    }
                    if framing.is_over() {
                        return Poll::Ready(Verdict::Answered);
                    }
                }
            }
            if answering.framing.is_some() && !link.bytes().is_empty() {
                continue;
            }
            match ready!(link.poll_fill(cx, &self.worker.buffers)) {
                Ok(1..) => self.patience.rest(),
                Ok(0) | Err(_) => return Poll::Ready(self.hung_up()),
            }
        }
    }

    /// Reads the answer's head as far as it has come. False if it is none.
    fn read_head(
        link: &mut Wire,
        answering: &mut Answering,
        asked: Asked,
        leg: Option<&Leg>,
    ) -> bool {
        loop {
            match head::answer(link.bytes(), asked, leg, &mut answering.head) {
                Ok(None) => return link.bytes().len() < MAX_HEAD_BYTES,
                Err(_) => return false,
                Ok(Some(head)) => {
                    link.consume(head.length);
                    match head.status.as_u16() {
                        // We ask for no other protocol.
                        101 => return false,
                        // The application was told to continue by us.
                        100..=199 if link.bytes().is_empty() => return true,
                        100..=199 => {}
                        _ => {
                            answering.framing = Some(head.framing);
                            answering.keep_alive = head.keep_alive;
                            answering.json_bytes = head.json_bytes;
                            answering.outcome = of_status(head.status);
                            return true;
                        }
                    }
                }
            }
        }
    }

    /// The upstream has closed its side.
    fn hung_up(&mut self) -> Verdict {
        match self.answering.framing {
            None => Verdict::Own(NoAnswer::HungUp),
            Some(Framing::UntilClose) => {
                self.answering.keep_alive = false;
                Verdict::Answered
            }
            Some(Framing::Length(_) | Framing::Chunked(_)) => self.broken_off(),
        }
    }

    fn broken_off(&mut self) -> Verdict {
        self.end(NoAnswer::HungUp.outcome());
        Verdict::Broken
    }

    fn out_of_patience(&mut self) -> Verdict {
        let why = if self.sending.state == Sent::Partly && self.sending.approved == 0 {
            NoAnswer::ClientStalled
        } else {
            NoAnswer::TimedOut
        };
        if self.answering.begun {
            self.end(why.outcome());
            return Verdict::Broken;
        }
        Verdict::Own(why)
    }

    /// While only the answer is awaited, anything but silence from the application is the
    /// next request, or its end.
    fn client_has_gone(&mut self, presence: &Rc<Presence>, cx: &mut Context<'_>) -> bool {
        while self.client.has_room() {
            match self.client.poll_fill(cx, &self.worker.buffers) {
                Poll::Ready(Ok(1..)) => {
                    presence.read(self.worker.tick.get());
                }
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Pending => return false,
            }
        }
        false
    }

    /// Counts the request when its end is known here.
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Answered => {
                let good = self.answering.outcome == Outcome::Ok;
                // One that was answered before all of it was sent is no whole request.
                let is_whole = self.sending.framing.is_over();
                if let Some(copying) = self.sending.copying.take().filter(|_| is_whole) {
                    copying.finish(good);
                }
                self.end(self.answering.outcome);
            }
            Verdict::Malformed => self.end(Outcome::ClientError),
            // Counted with the answer that we give; or counted already; or an application
            // that left, which is what a ticket says by itself.
            Verdict::Own(_) | Verdict::Broken => {}
        }
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(mut ticket) = self.ticket.take() {
            ticket.outcome(outcome);
        }
    }

    /// Lets the rest of the request go where the answer came from. True if the application's
    /// connection is then where the next request begins.
    pub(crate) async fn settle(mut self, limit: Duration) -> bool {
        if self.sending.state == Sent::Partly {
            let rest = poll_fn(|cx| self.poll_send(cx).map(|sent| sent.is_ok()));
            match timeout(limit, rest).await {
                Ok(true) => self.sending.state = Sent::Whole,
                Ok(false) => self.sending.state = Sent::Stuck,
                Err(_) => return false,
            }
        }
        if self.sending.state == Sent::Stuck {
            return self.discard(limit).await;
        }
        if let Some(link) = self.link.take().filter(|_| self.answering.keep_alive) {
            let mut link = link;
            link.rest(&self.worker.buffers);
            self.worker.links.park(link);
        }
        self.answering.framing != Some(Framing::UntilClose)
    }

    /// Answers for the upstream. True if the connection may have another request.
    pub(crate) async fn answer(mut self, why: &NoAnswer, limit: Duration) -> bool {
        let answer = why.http(&self.worker.upstream);
        let (status, body) = (answer.status(), answer.body());
        let close = if self.asked.close {
            "connection: close\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             {close}\r\n",
            body.len()
        );
        let shown: &[u8] = if self.asked.head_only { b"" } else { body };
        let whole = [head.as_bytes(), shown].concat();
        let written = timeout(limit, self.client.stream.write_all(&whole)).await;
        if let Some(ticket) = &mut self.ticket {
            ticket.response_bytes = shown.len() as u64;
        }
        self.end(why.outcome());
        match written {
            Ok(Ok(())) => self.discard(limit).await,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Reads the rest of the request for nobody.
    async fn discard(&mut self, limit: Duration) -> bool {
        let rest = poll_fn(|cx| {
            loop {
                self.client.consume(mem::take(&mut self.sending.approved));
                if self.sending.framing.is_over() {
                    return Poll::Ready(true);
                }
                if !self.client.bytes().is_empty() {
                    match self.sending.framing.scan(self.client.bytes()) {
                        Ok(scanned) => self.sending.approved = scanned.bytes,
                        Err(Malformed) => return Poll::Ready(false),
                    }
                    continue;
                }
                match ready!(self.client.poll_fill(cx, &self.worker.buffers)) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Poll::Ready(false),
                }
            }
        });
        timeout(limit, rest).await.unwrap_or(false)
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        // Written again by the next request on this worker.
        let mut heads = self.worker.heads.borrow_mut();
        for head in [&mut self.sending.head, &mut self.answering.head] {
            if heads.len() < MAX_KEPT_HEADS && head.capacity() <= MAX_HEAD_BYTES {
                heads.push(mem::take(head));
            }
        }
    }
}

/// Written heads whose memory is kept for the next.
const MAX_KEPT_HEADS: usize = 64;
