//! The whole fleet at a glance: made by one task for all who look, once a second at most, and
//! not at all while nobody does.

use std::iter::Peekable;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use binnacle_core::host::{Host, Membership};
use binnacle_core::name::Name;
use binnacle_core::observed::Streams;
use binnacle_core::view::{Cell, Glance, Glances, Status as HostStatus};
use binnacle_proto::v1 as proto;
use binnacle_wire::glance;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::engine::Published;
use crate::server::standing::Standing;
use crate::server::{Hub, agent};
use crate::store::Span;
use crate::telemetry::Minute;

/// How often the fleet is looked at: a status is seen within this.
const EVERY: Duration = Duration::from_secs(1);
/// Hosts whose pulses are asked for at once: some hundred microseconds of telemetry's time.
const CHUNK: usize = 1_000;

/// What everybody who looks is shown.
#[derive(Debug, Default)]
pub(crate) struct Board {
    latest: watch::Sender<Option<Arc<Shown>>>,
    /// Whether the task runs; held while that is decided.
    is_watched: Mutex<bool>,
}

/// The fleet as it was last looked at.
#[derive(Debug)]
struct Shown {
    /// Grows by one with each that is published.
    number: u64,
    minute: Option<Arc<Minute>>,
    /// All hosts, in order of name.
    hosts: Vec<Arc<Glance>>,
    /// Those that changed since the one before; `None` where all have to be told.
    changed: Option<Vec<Arc<Glance>>>,
}

impl Board {
    /// What is shown from now on; starts the task where this is the first to look.
    fn look(&self, hub: &Arc<Hub>) -> watch::Receiver<Option<Arc<Shown>>> {
        let mut is_watched = self
            .is_watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut shown = self.latest.subscribe();
        // What was published before is not to be missed.
        shown.mark_changed();
        if !std::mem::replace(&mut is_watched, true) {
            tokio::spawn(show(hub.clone()));
        }
        shown
    }

    /// Whether nobody looks any more: then the task has ended with this.
    fn is_left(&self) -> bool {
        let mut is_watched = self
            .is_watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if self.latest.receiver_count() > 0 {
            return false;
        }
        self.latest.send_replace(None);
        *is_watched = false;
        true
    }
}

/// Looks at the fleet until nobody else does.
async fn show(hub: Arc<Hub>) {
    let mut stopped = std::pin::pin!(hub.stopped());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut latest: Option<Arc<Shown>> = None;
    let mut looked_at: Option<Arc<Published>> = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = &mut stopped => return,
        }
        if hub.glances.is_left() {
            return;
        }
        let published = hub.engine.published();
        let is_same = looked_at
            .replace(published.clone())
            .is_some_and(|before| Arc::ptr_eq(&before, &published));
        let before = latest.as_deref();
        let minute = hub.telemetry.last_minute();
        let shown = match before.filter(|it| is_same && it.is_of(minute.as_deref())) {
            Some(before) => before.turned(&published, &hub).await,
            None => Shown::after(before, &published, minute, &hub).await,
        };
        match shown {
            Ok(Some(shown)) => {
                let shown = Arc::new(shown);
                latest = Some(shown.clone());
                hub.glances.latest.send_replace(Some(shown));
            }
            Ok(None) => {}
            // Telemetry has stopped, so the hub is about to.
            Err(_) => return,
        }
    }
}

impl Shown {
    /// Whether its figures are of this minute.
    fn is_of(&self, minute: Option<&Minute>) -> bool {
        let start_us = |minute: &Minute| minute.start_us;
        self.minute.as_deref().map(start_us) == minute.map(start_us)
    }

    /// What is to be shown after this where nothing was decided or observed, and no minute was
    /// finished: then only those hosts need a look whose pulse has turned.
    async fn turned(&self, published: &Published, hub: &Hub) -> Result<Option<Self>, Status> {
        let turned = hub.telemetry.turned().await.map_err(agent::unmeasured)?;
        let at = (hub.started_us, hub.clock.now_us());
        let (mut places, mut changed) = (Vec::new(), Vec::new());
        for (host, pulse) in &turned {
            let place = self.hosts.binary_search_by(|known| known.host.cmp(host));
            let known = place.ok().and_then(|at| Some((at, self.hosts.get(at)?)));
            let decided = Name::parse(host).ok().and_then(|name| {
                let host = published.state.hosts.get(&name)?;
                Some((name, host))
            });
            // One that is not admitted, or just was: then that was decided, and all are looked at.
            let (Some((place, known)), Some((name, host))) = (known, decided) else {
                continue;
            };
            let standing = Standing::of(host, published.observed.of(&name), Some(pulse), at);
            if !holds(known, host, &standing) {
                places.push(place);
                changed.push(Arc::new(glance_of(&name, host, standing, known.cell)));
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let mut hosts = self.hosts.clone();
        for (place, fresh) in places.into_iter().zip(&changed) {
            if let Some(known) = hosts.get_mut(place) {
                known.clone_from(fresh);
            }
        }
        Ok(Some(Self {
            number: self.number + 1,
            minute: self.minute.clone(),
            hosts,
            changed: Some(changed),
        }))
    }

    /// What is to be shown after `before`; nothing where that still holds.
    async fn after(
        before: Option<&Self>,
        published: &Published,
        minute: Option<Arc<Minute>>,
        hub: &Hub,
    ) -> Result<Option<Self>, Status> {
        let names: Vec<_> = published.state.hosts.keys().map(Name::shared).collect();
        let mut pulses = Vec::with_capacity(names.len());
        for chunk in names.chunks(CHUNK) {
            let some = hub.telemetry.pulses(chunk.to_vec()).await;
            pulses.extend(some.map_err(agent::unmeasured)?);
        }
        let is_turned = before.is_none_or(|it| !it.is_of(minute.as_deref()));
        let at = (hub.started_us, hub.clock.now_us());
        let previous = before.filter(|_| !is_turned);
        let mut fleet = Merge::new(published, previous, minute.as_deref());
        let (mut hosts, mut changed) = (Vec::with_capacity(names.len()), Vec::new());
        for ((name, host), pulse) in published.state.hosts.iter().zip(&pulses) {
            let (streams, known, cell) = fleet.of(name);
            let standing = Standing::of(host, streams, pulse.as_ref(), at);
            match known {
                Some(known) if holds(known, host, &standing) => hosts.push(known.clone()),
                _ => {
                    let cell = known.map_or(cell, |known| known.cell);
                    let fresh = Arc::new(glance_of(name, host, standing, cell));
                    changed.push(fresh.clone());
                    hosts.push(fresh);
                }
            }
        }
        drop(fleet);
        if changed.is_empty() && !is_turned {
            return Ok(None);
        }
        Ok(Some(Self {
            number: before.map_or(0, |before| before.number + 1),
            minute,
            hosts,
            changed: (!is_turned).then_some(changed),
        }))
    }

    /// What somebody is told who was told the one with the number `told` last.
    fn tell(&self, told: Option<u64>, now_us: i64) -> proto::GlanceUpdate {
        let is_next = told.is_some_and(|told| told + 1 == self.number);
        let changed = self.changed.as_ref().filter(|_| is_next);
        let hosts = changed.unwrap_or(&self.hosts).iter();
        glance::to_proto(&Glances {
            as_of_us: now_us,
            minute_us: self.minute.as_ref().map(|minute| minute.start_us),
            is_whole: changed.is_none(),
            hosts: hosts.map(|host| Glance::clone(host)).collect(),
        })
    }
}

/// Several lists in order of name, gone through together: a look-up a host and list would
/// take most of the time.
struct Merge<'a, S: Iterator<Item = (&'a Name, &'a Streams)>> {
    streams: Peekable<S>,
    known: &'a [Arc<Glance>],
    cells: &'a [(Arc<str>, Cell)],
}

impl<'a> Merge<'a, std::iter::Empty<(&'a Name, &'a Streams)>> {
    fn new(
        published: &'a Published,
        known: Option<&'a Shown>,
        minute: Option<&'a Minute>,
    ) -> Merge<'a, impl Iterator<Item = (&'a Name, &'a Streams)>> {
        Merge {
            streams: published.observed.hosts().peekable(),
            known: known.map_or(&[], |shown| &shown.hosts),
            cells: minute.map_or(&[], |minute| &minute.cells),
        }
    }
}

impl<'a, S: Iterator<Item = (&'a Name, &'a Streams)>> Merge<'a, S> {
    /// What the lists say of a host; names are asked for in their order.
    fn of(&mut self, name: &Name) -> (Option<&'a Streams>, Option<&'a Arc<Glance>>, Cell) {
        while self.streams.next_if(|(other, _)| *other < name).is_some() {}
        let streams = self.streams.next_if(|(other, _)| *other == name);
        let known = take_until(&mut self.known, name, |glance| &glance.host);
        let cell = take_until(&mut self.cells, name, |(host, _)| host);
        let cell = cell.map(|(_, cell)| *cell).unwrap_or_default();
        (streams.map(|(_, streams)| streams), known, cell)
    }
}

/// Drops what is before `name`, and takes what is of it.
fn take_until<'a, T>(list: &mut &'a [T], name: &Name, key: impl Fn(&T) -> &str) -> Option<&'a T> {
    while let Some((first, rest)) = list.split_first() {
        match key(first).cmp(name.as_str()) {
            std::cmp::Ordering::Less => *list = rest,
            std::cmp::Ordering::Equal => {
                *list = rest;
                return Some(first);
            }
            std::cmp::Ordering::Greater => break,
        }
    }
    None
}

/// Whether what was said of a host still holds.
fn holds(known: &Glance, host: &Host, standing: &Standing) -> bool {
    known.status == standing.status
        && known.since_us == Some(standing.since_us)
        && *known.reason == *standing.reason.as_deref().unwrap_or_default()
        && *known.environment == *host.admission.environment.as_str()
        && known.labels == host.admission.labels
}

fn glance_of(name: &Name, host: &Host, standing: Standing, cell: Cell) -> Glance {
    Glance {
        host: name.shared(),
        environment: host.admission.environment.shared(),
        labels: host.admission.labels.clone(),
        status: standing.status,
        since_us: Some(standing.since_us),
        reason: standing.reason.unwrap_or_else(|| "".into()),
        cell,
    }
}

/// The fleet in the minute that holds `at_us`, as it is known now: hosts that were admitted
/// by its end, or whose windows of it came later. One that was retired by then, and still is,
/// is retired; of the others, those with a cell were heard and are shown as OK, and those
/// without were silent. What their lights said is not kept, and labels are those of today.
pub(crate) async fn past(hub: &Hub, at_us: i64) -> Result<proto::GlanceUpdate, Status> {
    let now_us = hub.clock.now_us();
    let minute = hub.telemetry.minute(at_us.clamp(0, now_us)).await;
    let minute = minute.map_err(agent::unmeasured)?;
    let end_us = minute.start_us + Span::Minute.us();
    let published = hub.engine.published();
    let mut cells = minute.cells.as_slice();
    let mut hosts = Vec::with_capacity(published.state.hosts.len());
    for (name, host) in &published.state.hosts {
        let cell = take_until(&mut cells, name, |(host, _)| host).map(|(_, cell)| *cell);
        // An agent that could not reach the hub measured all the same.
        if host.admitted_at_us >= end_us && cell.is_none() {
            continue;
        }
        let (status, since_us, why) = match (&host.membership, cell) {
            (Membership::Retired { why, at_us }, _) if *at_us < end_us => {
                (HostStatus::Retired, Some(*at_us), why.clone())
            }
            (_, Some(_)) => (HostStatus::Ok, None, "".into()),
            (_, None) => (HostStatus::Silent, None, "".into()),
        };
        hosts.push(Glance {
            host: name.shared(),
            environment: host.admission.environment.shared(),
            labels: host.admission.labels.clone(),
            status,
            since_us,
            reason: why,
            cell: cell.unwrap_or_default(),
        });
    }
    Ok(glance::to_proto(&Glances {
        as_of_us: now_us,
        minute_us: Some(minute.start_us),
        is_whole: true,
        hosts,
    }))
}

/// Tells somebody of the fleet until they leave. Whoever is slow is told all of it later.
pub(crate) async fn follow(
    hub: Arc<Hub>,
    outbox: mpsc::Sender<Result<proto::GlanceUpdate, Status>>,
) {
    let mut stopped = std::pin::pin!(hub.stopped());
    let mut shown = hub.glances.look(&hub);
    let mut told = None;
    loop {
        tokio::select! {
            changed = shown.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = outbox.closed() => return,
            () = &mut stopped => {
                let status = Status::unavailable("the hub is stopping");
                let _gone = outbox.send(Err(status)).await;
                return;
            }
        }
        let Some(latest) = shown.borrow_and_update().clone() else {
            continue;
        };
        let update = latest.tell(told, hub.clock.now_us());
        told = Some(latest.number);
        if outbox.send(Ok(update)).await.is_err() {
            return;
        }
    }
}
