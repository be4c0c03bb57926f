//! What consoles and scripts ask of what was measured.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::name::Name;
use binnacle_proto::v1 as proto;
use binnacle_wire::{glance as glances, host, series};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::server::{Hub, agent, glance, rows};
use crate::store::KEEP_MINUTES_US;
use crate::telemetry::{Past, Question};

/// Keys in one subscription: more than any screen shows.
const MAX_KEYS: usize = 500;
/// Models that are told of where no keys are given.
const MAX_MODELS: usize = 5_000;
/// The shortest time between two updates: faster than an eye reads.
const RESOLUTION_MIN: Duration = Duration::from_millis(250);
/// Points in one answer: more than any screen is wide.
const MAX_POINTS: i64 = 5_000;

/// The service that consoles ask.
#[derive(Clone, Debug)]
pub(crate) struct Telemetry {
    pub(crate) hub: Arc<Hub>,
}

type Updates = Pin<Box<dyn futures::Stream<Item = Result<proto::Update, Status>> + Send>>;

type Glances = Pin<Box<dyn futures::Stream<Item = Result<proto::GlanceUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl proto::telemetry_server::Telemetry for Telemetry {
    type SubscribeStream = Updates;
    type GlanceStream = Glances;

    async fn subscribe(
        &self,
        request: Request<proto::SubscribeRequest>,
    ) -> Result<Response<Updates>, Status> {
        let asked = request.into_inner();
        if asked.keys.len() > MAX_KEYS {
            let what = format!("{} keys, at most {MAX_KEYS}", asked.keys.len());
            return Err(Status::invalid_argument(what));
        }
        let view = asked.view();
        if view == proto::View::Unspecified {
            return Err(Status::invalid_argument("say which view: hosts or models"));
        }
        let every = Duration::from_millis(asked.resolution_ms.into()).max(RESOLUTION_MIN);
        // One place: an update that is not fetched is replaced by a later, whole one.
        let (outbox, updates) = mpsc::channel(1);
        let subscription = Subscription {
            hub: self.hub.clone(),
            view,
            keys: asked.keys,
            outbox,
        };
        tokio::spawn(subscription.run(every));
        Ok(Response::new(Box::pin(ReceiverStream::new(updates))))
    }

    async fn glance(
        &self,
        request: Request<proto::GlanceRequest>,
    ) -> Result<Response<Glances>, Status> {
        let (outbox, updates) = mpsc::channel(1);
        match request.into_inner().at_us {
            None => {
                tokio::spawn(glance::follow(self.hub.clone(), outbox));
            }
            Some(at_us) => {
                let past = glance::past(&self.hub, at_us).await?;
                // Nobody else sends on it, and nothing was sent yet.
                let _room = outbox.try_send(Ok(past));
            }
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(updates))))
    }

    async fn history(
        &self,
        request: Request<proto::HistoryRequest>,
    ) -> Result<Response<proto::HistoryResponse>, Status> {
        let asked = past(request.into_inner())?;
        let history = self.hub.telemetry.history(asked).await;
        let history = history.map_err(agent::unmeasured)?;
        Ok(Response::new(glances::history_to(&history)))
    }

    async fn query(
        &self,
        request: Request<proto::QueryRequest>,
    ) -> Result<Response<proto::QueryResponse>, Status> {
        let asked = request.into_inner();
        let (from_us, to_us) = (asked.from_us, asked.to_us);
        if from_us >= to_us {
            return Err(Status::invalid_argument("the span ends before it begins"));
        }
        let step_us = i64::from(asked.step_s) * 1_000_000;
        if step_us > 0 && (to_us - from_us) / step_us > MAX_POINTS {
            let what = format!("over {MAX_POINTS} points: ask for a longer step");
            return Err(Status::invalid_argument(what));
        }
        let text = |text: String| (!text.is_empty()).then(|| Arc::<str>::from(text));
        let question = Question {
            model: text(asked.model),
            version: asked.version.map(Into::into),
            host: text(asked.host),
            from_us,
            to_us,
            step_s: asked.step_s,
            is_folded: asked.fold,
        };
        let answer = self.hub.telemetry.query(question).await;
        let answer = answer.map_err(agent::unmeasured)?;
        let point = |(start_us, windows): &(i64, Vec<_>)| proto::Point {
            start_us: *start_us,
            series: windows.iter().map(series::to_proto).collect(),
        };
        Ok(Response::new(proto::QueryResponse {
            points: answer.points.iter().map(point).collect(),
            from_us: answer.from_us,
            to_us: answer.to_us,
            as_of_us: self.hub.clock.now_us(),
            resolution_s: answer.resolution_s,
        }))
    }
}

/// Reads what is asked of hosts' past, or says what is wrong with it.
fn past(asked: proto::HistoryRequest) -> Result<Past, Status> {
    let wrong = |what: String| Err(Status::invalid_argument(what));
    let (from_us, to_us, step_s) = (asked.from_us, asked.to_us, asked.step_s);
    if asked.hosts.len() > MAX_KEYS {
        return wrong(format!("{} hosts, at most {MAX_KEYS}", asked.hosts.len()));
    }
    if step_s == 0 || step_s % 60 != 0 {
        return wrong(format!("a step of {step_s} s: say whole minutes"));
    }
    if from_us >= to_us {
        return wrong("the span ends before it begins".into());
    }
    let longest_us = KEEP_MINUTES_US + 2 * i64::from(step_s) * 1_000_000;
    if i64::from(step_s) * 1_000_000 > KEEP_MINUTES_US
        || to_us.checked_sub(from_us).is_none_or(|us| us > longest_us)
    {
        return wrong("more than a day, which is as long as hosts' minutes are kept".into());
    }
    Ok(Past {
        hosts: asked.hosts.into_iter().map(Arc::from).collect(),
        from_us,
        to_us,
        step_s,
    })
}

/// One subscriber: the latest of each key, when it changed.
struct Subscription {
    hub: Arc<Hub>,
    view: proto::View,
    keys: Vec<String>,
    outbox: mpsc::Sender<Result<proto::Update, Status>>,
}

impl Subscription {
    async fn run(self, every: Duration) {
        let mut stopped = std::pin::pin!(self.hub.stopped());
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = Told::default();
        let mut skipped = 0;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.outbox.closed() => return,
                () = &mut stopped => {
                    let status = Status::unavailable("the hub is stopping");
                    let _gone = self.outbox.send(Err(status)).await;
                    return;
                }
            }
            let Ok(place) = self.outbox.try_reserve() else {
                // A slow subscriber misses this one, and is told that it did.
                skipped += 1;
                continue;
            };
            match self.update(&mut told).await {
                Ok(update) if update.hosts.is_empty() && update.models.is_empty() => {}
                Ok(update) => place.send(Ok(proto::Update { skipped, ..update })),
                Err(status) => return place.send(Err(status)),
            }
        }
    }

    async fn update(&self, told: &mut Told) -> Result<proto::Update, Status> {
        let mut update = proto::Update {
            as_of_us: self.hub.clock.now_us(),
            ..proto::Update::default()
        };
        match self.view {
            proto::View::Hosts => {
                let published = self.hub.engine.published();
                let names: Vec<Name> = match self.keys.is_empty() {
                    true => published
                        .state
                        .hosts
                        .keys()
                        .take(MAX_KEYS)
                        .cloned()
                        .collect(),
                    false => self
                        .keys
                        .iter()
                        .filter_map(|key| Name::parse(key).ok())
                        .collect(),
                };
                let rows = rows::hosts(&self.hub, &published, &names).await?;
                let rows = rows.iter().map(host::to_proto);
                update.hosts = rows.filter(|row| told.hosts.news(&row.name, row)).collect();
            }
            proto::View::Models => {
                let rows = self.hub.telemetry.models().await;
                let rows = rows.map_err(agent::unmeasured)?;
                let asked =
                    |model: &str| self.keys.is_empty() || self.keys.iter().any(|key| key == model);
                let rows = rows.iter().filter(|row| asked(&row.model)).take(MAX_MODELS);
                let rows = rows.map(host::model_to);
                update.models = rows
                    .filter(|row| told.models.news(&row.model, row))
                    .collect();
            }
            proto::View::Unspecified => {}
        }
        Ok(update)
    }
}

/// What a subscriber was told last.
#[derive(Default)]
struct Told {
    hosts: Latest<proto::HostRow>,
    models: Latest<proto::ModelRow>,
}

struct Latest<T>(HashMap<String, T>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Clone + PartialEq> Latest<T> {
    /// Notes a value down, and says whether it is another one than before.
    fn news(&mut self, key: &str, value: &T) -> bool {
        if self.0.get(key) == Some(value) {
            return false;
        }
        self.0.insert(key.to_owned(), value.clone());
        true
    }
}
