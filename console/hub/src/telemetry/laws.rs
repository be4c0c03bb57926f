//! The law: whatever happens between agents and hub, counted = sent, by series and time, and
//! by host and minute; and what somebody asks about again is answered as if it were read anew.
//!
//! Agents keep what is not durable, send live windows first and what waited behind, oldest
//! first, add together what was never sent, and send again what may have been lost. Writes
//! fail before and after they commit; the hub dies and starts again from its store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use binnacle_core::report::{BootId, Moment, Report};
use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_core::view::Cell;
use binnacle_sketch::Latency;
use proptest::prelude::*;

use crate::store::{MinuteQuery, RollupQuery, SharedStore, Span, StoreUrl};
use crate::telemetry::answer::{Cut, Rows};
use crate::telemetry::book::Book;
use crate::telemetry::shelf::Topic;
use crate::telemetry::{Answer, Question, Settings, query};

const SECOND: i64 = 1_000_000;
/// Some noon.
const START: i64 = 1_700_000_000 * SECOND;
const HOSTS: usize = 3;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// A second passes on a host: so many requests of one of the models.
    Window {
        host: usize,
        model: usize,
        requests: usize,
        delivered: bool,
    },
    /// A host adds its two oldest windows that were never sent together.
    Merge { host: usize },
    /// A host sends the next thing that waits.
    Resend { host: usize },
    /// A host sends something again that it has sent before.
    Duplicate { host: usize, nth: usize },
    /// A host's connection is lost and made anew.
    Reconnect { host: usize },
    /// A write begins, or begins again, and ends well, or badly before or after the commit.
    Flush(Ending),
    /// The hub finishes minutes, some hosts at a time.
    Turn,
    /// Nothing happens for a while.
    Pass { seconds: i64 },
    /// Somebody asks about the past; meanwhile a host may send the next thing that waits.
    Ask {
        asked: Asked,
        meanwhile: Option<usize>,
    },
    /// The hub dies and starts again.
    Kill,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Well,
    BeforeCommit,
    AfterCommit,
}

fn step() -> impl Strategy<Value = Step> {
    let host = 0..HOSTS;
    prop_oneof![
        6 => (host.clone(), 0..3usize, 0..4usize, any::<bool>()).prop_map(
            |(host, model, requests, delivered)| Step::Window { host, model, requests, delivered }
        ),
        1 => host.clone().prop_map(|host| Step::Merge { host }),
        3 => host.clone().prop_map(|host| Step::Resend { host }),
        1 => (host.clone(), 0..9usize).prop_map(|(host, nth)| Step::Duplicate { host, nth }),
        1 => host.prop_map(|host| Step::Reconnect { host }),
        2 => prop_oneof![
            3 => Just(Ending::Well),
            1 => Just(Ending::BeforeCommit),
            1 => Just(Ending::AfterCommit),
        ].prop_map(Step::Flush),
        3 => Just(Step::Turn),
        1 => (1..90i64).prop_map(|seconds| Step::Pass { seconds }),
        4 => (asked(), prop::option::of(0..HOSTS)).prop_map(
            |(asked, meanwhile)| Step::Ask { asked, meanwhile }
        ),
        1 => Just(Step::Kill),
    ]
}

/// A question, by what it takes and how far it lies back.
#[derive(Clone, Copy, Debug)]
struct Asked {
    model: Option<usize>,
    is_folded: bool,
    back_s: i64,
    length_s: i64,
    step_s: u32,
}

fn asked() -> impl Strategy<Value = Asked> {
    let step_s = prop::sample::select(vec![0, 1, 10, 60, 90]);
    // Few of them, so that the same is asked again.
    let model = prop::option::of(0..2usize);
    (model, any::<bool>(), 0..300i64, 1..400i64, step_s).prop_map(
        |(model, is_folded, back_s, length_s, step_s)| Asked {
            model,
            is_folded,
            back_s,
            length_s,
            step_s,
        },
    )
}

/// An agent, as far as its windows go.
struct Agent {
    name: Arc<str>,
    next: u64,
    /// What is not durable, and whether it was ever sent.
    kept: Vec<(Report, bool)>,
    /// Sequences below this were sent again since the connection was made.
    resent: u64,
}

struct World {
    store: SharedStore,
    book: Book,
    agents: Vec<Agent>,
    sent: BTreeMap<(i64, Arc<str>), u64>,
    /// By minute and host; a window with no requests counts, too.
    sent_by_host: BTreeMap<(i64, Arc<str>), u32>,
    now_us: i64,
    starts: u8,
}

fn window(model: usize, requests: usize) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    (0..requests).for_each(|n| latency.record(1_000 + n as u64 * 7_000_000));
    let key = SeriesKey {
        endpoint: "".into(),
        model: format!("m{model}").into(),
        version: "1".into(),
        outcome: Outcome::Ok,
    };
    SeriesWindow {
        key,
        latency: latency.encode(),
        request_bytes: requests as u64,
        response_bytes: 0,
    }
}

async fn open(store: &SharedStore, starts: u8, now_us: i64) -> Book {
    let flushed = store.flushed().await.unwrap();
    let marks = store.all_watermarks().await.unwrap();
    Book::new(Settings::default(), [starts; 16], flushed, marks, now_us)
}

impl World {
    async fn new(url: &StoreUrl) -> Self {
        let store = crate::store::open(url).await.unwrap();
        let agents = (0..HOSTS).map(|n| Agent {
            name: format!("h{n}").into(),
            next: 1,
            kept: Vec::new(),
            resent: 0,
        });
        Self {
            book: open(&store, 0, START).await,
            store,
            agents: agents.collect(),
            sent: BTreeMap::new(),
            sent_by_host: BTreeMap::new(),
            now_us: START,
            starts: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Window {
                host,
                model,
                requests,
                delivered,
            } => {
                self.window(host, model, requests, delivered);
            }
            Step::Merge { host } => self.agents[host].merge(),
            Step::Resend { host } => {
                self.resend(host);
            }
            Step::Duplicate { host, nth } => {
                let sent: Vec<_> = self.agents[host]
                    .kept
                    .iter()
                    .filter(|kept| kept.1)
                    .collect();
                if let Some((report, _)) = sent.get(nth % sent.len().max(1)) {
                    let report = Report::clone(report);
                    self.deliver(host, report);
                }
            }
            Step::Reconnect { host } => self.reconnect(host),
            Step::Flush(ending) => self.flush(ending).await,
            Step::Turn => self.turn(),
            Step::Pass { seconds } => self.now_us += seconds * SECOND,
            Step::Ask { asked, meanwhile } => self.ask(asked, meanwhile).await,
            Step::Kill => {
                self.starts += 1;
                self.book = open(&self.store, self.starts, self.now_us).await;
                (0..HOSTS).for_each(|host| self.reconnect(host));
            }
        }
    }

    fn window(&mut self, host: usize, model: usize, requests: usize, delivered: bool) {
        self.now_us += SECOND;
        let window = window(model, requests);
        let bucket = Span::TenSeconds.start_of(self.now_us - SECOND);
        *self
            .sent
            .entry((bucket, window.key.model.clone()))
            .or_default() += requests as u64;
        let agent = &mut self.agents[host];
        let minute = Span::Minute.start_of(self.now_us - SECOND);
        *self
            .sent_by_host
            .entry((minute, agent.name.clone()))
            .or_default() += requests as u32;
        let report = Report {
            boot: BootId([host as u8; 16]),
            first: agent.next,
            last: agent.next,
            start_us: self.now_us - SECOND,
            span_ms: 1_000,
            series: vec![window],
            in_flight: 0,
            moment: None,
            inputs: Vec::new(),
        };
        agent.next += 1;
        agent.kept.push((report.clone(), delivered));
        if delivered {
            let sent_at_us = self.now_us;
            let moment = Some(Moment {
                sent_at_us,
                ..Moment::default()
            });
            self.deliver(host, Report { moment, ..report });
        }
    }

    /// Sends the oldest that was not sent on this connection; false when there is none.
    fn resend(&mut self, host: usize) -> bool {
        let agent = &mut self.agents[host];
        let from = agent.resent;
        let Some((report, sent)) = agent
            .kept
            .iter_mut()
            .find(|(report, _)| report.first > from)
        else {
            return false;
        };
        *sent = true;
        agent.resent = report.last;
        let report = report.clone();
        self.deliver(host, report);
        true
    }

    fn deliver(&mut self, host: usize, report: Report) {
        let name = self.agents[host].name.clone();
        self.book.receive(name, report, self.now_us, 0);
        self.hear(host);
    }

    fn reconnect(&mut self, host: usize) {
        self.agents[host].resent = 0;
        self.hear(host);
    }

    /// The agent hears what is durable, and forgets it.
    fn hear(&mut self, host: usize) {
        let agent = &mut self.agents[host];
        for (_, durable) in self.book.watermarks(&agent.name) {
            agent.kept.retain(|(report, _)| report.last > durable);
        }
    }

    async fn flush(&mut self, ending: Ending) {
        let Some(batch) = self.book.batch(0) else {
            return;
        };
        match ending {
            Ending::BeforeCommit => {}
            Ending::AfterCommit => self.store.flush(batch).await.unwrap(),
            Ending::Well => {
                self.store.flush(batch).await.unwrap();
                self.book.committed();
                (0..HOSTS).for_each(|host| self.hear(host));
            }
        }
        self.check_no_request_twice().await;
    }

    /// What is on the shelf is what the disk and memory say, whatever is counted meanwhile.
    async fn ask(&mut self, asked: Asked, meanwhile: Option<usize>) {
        let to_us = self.now_us - asked.back_s * SECOND;
        let question = Question {
            model: asked.model.map(|model| format!("m{model}").into()),
            version: None,
            host: None,
            from_us: to_us - asked.length_s * SECOND,
            to_us,
            step_s: asked.step_s,
            is_folded: asked.is_folded,
        };
        let (topic, cut) = (Topic::of(&question), Cut::on_disk(&question, self.now_us));
        // The second time, most of it is on the shelf.
        for meanwhile in [meanwhile, None] {
            let expected = self.read_anew(&question, cut).await;
            let known = self.book.minutes(&topic, cut.minutes(), self.now_us);
            let mut fresh = Vec::new();
            for part in known.parts() {
                let pages = query::pages(&self.store, &question, &known, part).await;
                fresh.extend(pages.unwrap().unwrap());
            }
            let answer = query::together(question.clone(), cut, &known, &fresh);
            assert_eq!(answer.unwrap(), expected, "{asked:?}");
            if let Some(host) = meanwhile {
                self.resend(host);
            }
            let pages = query::settled(&known, &fresh);
            self.book.shelve(topic.clone(), known.number, pages);
        }
    }

    async fn read_anew(&mut self, question: &Question, cut: Cut) -> Answer {
        let mut rows = Rows::new(question.clone(), cut);
        let (query, beside) = self.book.beside_disk(rows.query());
        let mut take = |row| rows.take(&row);
        self.store.rollups(query, &mut take).await.unwrap();
        beside.iter().for_each(|row| rows.take(row));
        rows.finish().unwrap()
    }

    /// What a query would count now: what the disk holds, and what is beside it.
    async fn counted(&mut self) -> BTreeMap<(i64, Arc<str>), u64> {
        let query = RollupQuery {
            from_us: 0,
            to_us: i64::MAX,
            model: None,
            version: None,
            flush: 0,
        };
        let (query, mut rows) = self.book.beside_disk(query);
        self.store
            .rollups(query, &mut |row| rows.push(row))
            .await
            .unwrap();
        let mut counted = BTreeMap::new();
        for row in rows {
            let key = (row.start_us, row.window.key.model.clone());
            let requests = row.window.latency.count().unwrap();
            assert_eq!(requests, row.window.request_bytes);
            *counted.entry(key).or_default() += requests;
        }
        counted
    }

    fn turn(&mut self) {
        self.book.seal(self.now_us);
        self.book.turn();
    }

    /// What is known now of the hosts' finished minutes.
    async fn by_host(&self) -> BTreeMap<(i64, Arc<str>), u32> {
        let beside = self.book.minutes_beside_disk();
        let query = MinuteQuery {
            from_us: 0,
            to_us: beside.open_us,
            hosts: None,
        };
        let mut cells = Vec::new();
        let mut take = |cell| cells.push(cell);
        let flush = self.store.minutes(query.clone(), &mut take).await.unwrap();
        let minutes = beside.together(&query, flush, cells).unwrap();
        let cells = minutes.into_iter().flat_map(|(start_us, hosts)| {
            let cell = move |(host, cell): (_, Cell)| ((start_us, host), cell.requests);
            hosts.into_iter().map(cell)
        });
        cells.collect()
    }

    async fn check_no_request_twice(&mut self) {
        for (at, requests) in self.by_host().await {
            let sent = self.sent_by_host[&at];
            assert!(requests <= sent, "{at:?}: {requests} of {sent}");
        }
        for (at, requests) in self.counted().await {
            assert!(
                requests <= self.sent[&at],
                "{at:?}: {requests} of {}",
                self.sent[&at]
            );
        }
    }

    /// Everything is delivered and written; then counted = sent.
    async fn finish(mut self) {
        (0..HOSTS).for_each(|host| self.reconnect(host));
        for host in 0..HOSTS {
            while self.resend(host) {}
        }
        self.check_sent().await;
        while self.book.batch(0).is_some() {
            self.flush(Ending::Well).await;
        }
        assert!(self.agents.iter().all(|agent| agent.kept.is_empty()));
        self.check_sent().await;
        self.now_us += 2 * Span::Minute.us();
        // Each turn is one host's, and one pass may be under way.
        (0..3 * HOSTS).for_each(|_| self.turn());
        assert_eq!(self.by_host().await, self.sent_by_host);
        self.flush(Ending::AfterCommit).await;
        assert_eq!(self.by_host().await, self.sent_by_host);
        self.flush(Ending::Well).await;
        assert_eq!(self.by_host().await, self.sent_by_host);
        self.store.compact(self.now_us).await.unwrap();
        self.check_sent().await;
    }

    async fn check_sent(&mut self) {
        let counted = self.counted().await;
        let both: BTreeSet<_> = counted.keys().chain(self.sent.keys()).cloned().collect();
        for at in both {
            let (counted, sent) = (counted.get(&at), self.sent.get(&at));
            assert_eq!(counted.unwrap_or(&0), sent.unwrap_or(&0), "{at:?}");
        }
    }
}

impl Agent {
    /// Adds the first two neighbours together that were never sent, within ten seconds.
    fn merge(&mut self) {
        let fresh = |pair: &[(Report, bool)]| {
            let [(a, false), (b, false)] = pair else {
                return false;
            };
            let bucket = |report: &Report| Span::TenSeconds.start_of(report.start_us);
            a.last + 1 == b.first && bucket(a) == bucket(b)
        };
        let Some(place) = self.kept.windows(2).position(fresh) else {
            return;
        };
        let (second, _) = self.kept.remove(place + 1);
        let (first, _) = &mut self.kept[place];
        first.last = second.last;
        first.span_ms += second.span_ms;
        first.series.extend(second.series);
    }
}

fn run(steps: Vec<Step>, url: &StoreUrl) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(url).await;
        for step in steps {
            world.step(step).await;
        }
        world.finish().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn counted_is_sent_whatever_is_lost_repeated_or_killed(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        run(steps, &StoreUrl::Memory);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn counted_is_sent_with_a_file_too(steps in prop::collection::vec(step(), 0..80)) {
        let folder = tempfile::tempdir().unwrap();
        run(steps, &StoreUrl::Sqlite(folder.path().join("hub.db")));
    }
}
