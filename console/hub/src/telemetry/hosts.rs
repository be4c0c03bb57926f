//! What is known of each host: what of its windows is counted, its clock, its last moment.

use std::sync::Arc;

use binnacle_core::report::{BootId, Moment, Report};
use binnacle_core::view::{self, Status, Traffic};
use binnacle_sketch::Encoded;
use tokio::sync::watch;

use crate::store::{Span, Watermark};
use crate::telemetry::minutes::{Minutes, Part};
use crate::telemetry::names::Names;
use crate::telemetry::ranges::Ranges;
use crate::telemetry::recent::{self, Packer, Recent};
use crate::telemetry::tally::Folder;
use crate::telemetry::traffic::{ENOUGH, LONG_S, SHORT_S, UNFINISHED_S};
use crate::telemetry::{Ack, LIVE_WITHIN_US, Pulse};

/// Starts of one agent that are remembered. One that starts anew every few seconds must not
/// fill the hub; the longest unheard of is forgotten first.
const MAX_BOOTS: usize = 64;
/// Offsets under this are left alone: delay on a busy machine explains them, and correcting
/// by them would move windows over the borders of seconds at random.
const OFFSET_MIN_US: i64 = 250_000;
/// How long a host may have sent nothing that waited before its holes are given up. An agent
/// sends what waited at least every second until there is none.
const HOLE_PATIENCE_US: i64 = 10_000_000;
/// Fewer requests than this have no known median: see `Latency::known_quantile_ns`.
const FEW: u64 = 40;

const SECOND_US: i64 = 1_000_000;

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Starts of its agent.
    pub(crate) boots: Vec<Boot>,
    /// Its clock minus the hub's, as last measured.
    pub(crate) skew_us: i64,
    /// When it last reported; `None` since the hub started.
    seen_us: Option<i64>,
    /// Since when it has reported with no gap that is called silence.
    heard_since_us: i64,
    /// What its server's lights say, and since when.
    health: (Status, i64),
    /// Grows when its pulse changes other than by the time of the last report.
    turns: u32,
    /// What of that, and whether it is heard, whoever asks for turns was told last.
    told: Option<(u32, bool)>,
    /// What it last said of the moment.
    pub(crate) moment: Arc<Moment>,
    /// Its last minute.
    pub(crate) recent: Recent,
    /// Its minutes that are not written.
    pub(crate) minutes: Minutes,
    in_flight: u32,
    /// When it last sent what had waited, or dialled; by the monotonic clock.
    waited_us: i64,
    board: watch::Sender<Vec<Ack>>,
    /// The second at which traffic was last summed up, and the sum.
    summed: Option<(i64, Traffic)>,
}

/// One start of an agent.
#[derive(Debug)]
pub(crate) struct Boot {
    /// Which.
    pub(crate) id: BootId,
    /// What is counted of it.
    pub(crate) counted: Ranges,
    /// Everything up to here that was sent is on the disk.
    pub(crate) durable: u64,
    /// When the hub last heard of it.
    pub(crate) heard_us: i64,
    /// Whether it is on the list of what the next flush writes.
    pub(crate) is_listed: bool,
    /// Whether a report was refused: then its holes are never given up.
    pub(crate) is_torn: bool,
}

/// What counting a window needs of the book.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    /// The window's series.
    pub(crate) packer: &'a mut Packer,
    /// To add up in.
    pub(crate) folder: &'a mut Folder,
    /// Bytes that this host's last minute may take.
    pub(crate) share: usize,
    /// From when on minutes are open.
    pub(crate) open_us: i64,
}

impl Boot {
    fn new(id: BootId) -> Self {
        Self {
            id,
            counted: Ranges::default(),
            durable: 0,
            heard_us: 0,
            is_listed: false,
            is_torn: false,
        }
    }

    /// What its agent may know.
    pub(crate) fn ack(&self) -> Ack {
        Ack {
            boot: self.id,
            received: self.counted.prefix().max(self.durable),
            durable: self.durable,
        }
    }

    /// What the store keeps of it.
    pub(crate) fn watermark(&self, host: &Arc<str>) -> Watermark {
        Watermark {
            host: host.clone(),
            boot: self.id,
            durable: self.counted.prefix(),
            counted: self.counted.pairs(),
            heard_us: self.heard_us,
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self {
            boots: Vec::new(),
            skew_us: 0,
            seen_us: None,
            heard_since_us: 0,
            health: (Status::Ok, 0),
            turns: 0,
            told: None,
            moment: Arc::default(),
            recent: Recent::default(),
            minutes: Minutes::default(),
            in_flight: 0,
            waited_us: 0,
            board: watch::Sender::new(Vec::new()),
            summed: None,
        }
    }
}

impl Host {
    /// Takes in what the store remembers.
    pub(crate) fn remember(&mut self, mark: Watermark) {
        let boot = Boot {
            counted: Ranges::from_pairs(mark.counted),
            durable: mark.durable,
            heard_us: mark.heard_us,
            ..Boot::new(mark.boot)
        };
        self.boots.push(boot);
    }

    /// Notes what a report says of the moment; answers with the report's start by the hub's
    /// clock.
    pub(crate) fn hear(&mut self, report: &mut Report, received_us: i64, elapsed_us: i64) -> i64 {
        let is_heard = |seen_us| received_us - seen_us <= LIVE_WITHIN_US;
        if !self.seen_us.is_some_and(is_heard) {
            self.heard_since_us = received_us;
            self.turns = self.turns.wrapping_add(1);
        }
        self.seen_us = Some(received_us);
        match report.moment.take() {
            Some(moment) => {
                self.skew_us = moment.sent_at_us.saturating_sub(received_us);
                self.in_flight = report.in_flight;
                let (health, _) = view::health(moment.server.as_ref());
                // Why it is not well may be another with each report.
                if self.health.0 != health || health != Status::Ok {
                    self.turns = self.turns.wrapping_add(1);
                }
                if self.health.0 != health {
                    self.health = (health, received_us);
                }
                self.moment = Arc::new(moment);
            }
            None => self.waited_us = elapsed_us,
        }
        let is_delay = self
            .skew_us
            .checked_abs()
            .is_some_and(|us| us < OFFSET_MIN_US);
        let offset_us = if is_delay { 0 } else { self.skew_us };
        report.start_us.saturating_sub(offset_us)
    }

    /// Whether it is heard; `None` where it never was since the hub started.
    pub(crate) fn pulse(&self) -> Option<Pulse> {
        let (health, health_since_us) = self.health;
        let reason = match health {
            // Most hosts: their moments, far off in memory, need not be looked at.
            Status::Ok => None,
            Status::Retired | Status::Silent | Status::Warn | Status::Crit => {
                view::health(self.moment.server.as_ref()).1.cloned()
            }
        };
        Some(Pulse {
            seen_us: self.seen_us?,
            heard_since_us: self.heard_since_us,
            health,
            health_since_us,
            reason,
        })
    }

    /// Whether its pulse is another one than when this was last asked: it fell silent or was
    /// heard again, or its lights say something else.
    pub(crate) fn has_turned(&mut self, now_us: i64) -> bool {
        let Some(seen_us) = self.seen_us else {
            return false;
        };
        let now = (self.turns, now_us - seen_us <= LIVE_WITHIN_US);
        self.told.replace(now) != Some(now)
    }

    /// Counts a window that [`Host::hear`] placed at `start_us`, with as many requests and
    /// errors, whose series are packed in `packer` if it is recent. Minutes before `open_us`
    /// are finished for all hosts. Answers with the bytes that wait for the next flush because
    /// the window came late.
    pub(crate) fn count(
        &mut self,
        report: &Report,
        (start_us, received_us): (i64, i64),
        (requests, errors): (u64, u64),
        room: &mut Room<'_>,
    ) -> usize {
        let (open_us, mut late_bytes) = (self.minutes.open_us(room.open_us), 0);
        let minute_us = Span::Minute.start_of(start_us);
        let is_recent = start_us >= received_us - recent::KEEP_US;
        let part = self.minutes.part(minute_us);
        part.count(requests, errors);
        if minute_us < open_us || !is_recent {
            let latencies = report.series.iter().map(|window| &window.latency);
            for latency in latencies.filter(|latency| latency.count().is_ok()) {
                late_bytes += size_of::<Encoded>() + latency.counts.len();
                part.carry(latency.clone(), room.folder);
            }
            late_bytes += size_of::<Part>();
        }
        self.recent.push(start_us, room.packer);
        while let Some(window) = self.recent.shed(received_us, room.share) {
            let minute_us = Span::Minute.start_of(window.start_us);
            if minute_us >= open_us {
                let part = self.minutes.part(minute_us);
                window
                    .latencies()
                    .for_each(|latency| part.carry(latency, room.folder));
            }
        }
        late_bytes
    }

    /// Bytes of its windows.
    pub(crate) fn bytes(&self) -> usize {
        self.recent.bytes() + self.minutes.bytes()
    }

    /// The boot of this identity, made where there is none; and how many were forgotten for it.
    pub(crate) fn boot(&mut self, id: BootId) -> (&mut Boot, u64) {
        let mut forgotten = 0;
        let place = match self.boots.iter().position(|boot| boot.id == id) {
            Some(place) => place,
            None => {
                if self.boots.len() >= MAX_BOOTS {
                    let oldest = self.boots.iter().enumerate();
                    let oldest = oldest.min_by_key(|(_, boot)| boot.heard_us);
                    let oldest = oldest.map_or(0, |(place, _)| place);
                    self.boots.swap_remove(oldest);
                    forgotten = 1;
                }
                self.boots.push(Boot::new(id));
                self.boots.len() - 1
            }
        };
        let boot = self
            .boots
            .get_mut(place)
            .expect("the place was just looked up or filled");
        (boot, forgotten)
    }

    /// Gives up the holes of what will not come any more; answers with the boots that changed.
    pub(crate) fn give_up_holes(&mut self, elapsed_us: i64) -> Vec<BootId> {
        if elapsed_us - self.waited_us < HOLE_PATIENCE_US {
            return Vec::new();
        }
        let holed = self
            .boots
            .iter_mut()
            .filter(|boot| boot.counted.has_holes() && !boot.is_torn);
        let close = |boot: &mut Boot| {
            boot.counted.close_holes();
            boot.id
        };
        holed.map(close).collect()
    }

    /// A new stream: what waited is yet to come, and acks go to it.
    pub(crate) fn dialled(&mut self, elapsed_us: i64) -> watch::Receiver<Vec<Ack>> {
        self.waited_us = elapsed_us;
        self.board.subscribe()
    }

    /// Tells the streams where a boot stands.
    pub(crate) fn tell(&self, ack: Ack) {
        self.board.send_if_modified(|board| {
            match board.iter_mut().find(|told| told.boot == ack.boot) {
                Some(told) if *told == ack => return false,
                Some(told) => *told = ack,
                None => board.push(ack),
            }
            if board.len() > MAX_BOOTS {
                board.remove(0);
            }
            true
        });
    }

    /// Whether nobody listens and nothing is remembered.
    pub(crate) fn is_gone(&self) -> bool {
        self.boots.is_empty() && self.board.receiver_count() == 0
    }

    /// Its requests of late, summed up once a second at most.
    pub(crate) fn traffic(&mut self, now_us: i64, names: &Names, folder: &mut Folder) -> Traffic {
        let now_s = now_us.div_euclid(SECOND_US);
        let traffic = match self.summed {
            Some((at_s, traffic)) if at_s == now_s => traffic,
            Some(_) | None => self.sum_up(now_s, names, folder),
        };
        self.summed = Some((now_s, traffic));
        let in_flight = self.in_flight;
        Traffic {
            in_flight,
            ..traffic
        }
    }

    fn sum_up(&self, now_s: i64, names: &Names, folder: &mut Folder) -> Traffic {
        let short = self.sum_span(now_s, SHORT_S, names, folder);
        if short.requests >= ENOUGH {
            return short;
        }
        // A host that is heard for less than the long span has no requests before.
        let heard_s = self.heard_since_us.div_euclid(SECOND_US);
        let known_s = (now_s - heard_s).clamp(SHORT_S, LONG_S);
        self.sum_span(now_s, known_s, names, folder)
    }

    fn sum_span(&self, now_s: i64, span_s: i64, names: &Names, folder: &mut Folder) -> Traffic {
        let to_us = (now_s - UNFINISHED_S) * SECOND_US;
        let parts: Vec<_> = self
            .recent
            .parts(to_us - span_s * SECOND_US, to_us)
            .collect();
        let mut traffic = Traffic {
            span_s: span_s as u32,
            ..Traffic::default()
        };
        for (_, part) in &parts {
            let requests = part.latency.count().unwrap_or(0);
            traffic.requests += requests;
            if names.key(part.id).is_some_and(|key| key.outcome.is_error()) {
                traffic.errors += requests;
            }
        }
        if traffic.requests >= FEW {
            let latency = folder.latency(parts.iter().map(|(_, part)| &part.latency));
            traffic.p50_ns = latency.known_quantile_ns(0.5);
            traffic.p99_ns = latency.known_quantile_ns(0.99);
        }
        traffic
    }
}
