//! A console on a stage, for tests: a fleet of made-up hosts, keys as a person would press
//! them, and the screen as text.

use std::sync::Arc;

use binnacle_core::view::{
    Cell, Coarse, EntryRow, Glance, Glances, HostRow, HostState, Labels, Light, Losses, ModelRow,
    Name, ServerHealth, Status, Traffic, VersionLights, Vitals,
};
use ratatui::buffer::Buffer;

use crate::config::Config;
use crate::draw;
use crate::model::{Model, Setup};
use crate::msg::{Effect, Link, Msg};
use crate::question::{Answer, Question};
use crate::screen::Place;
use crate::theme::{Background, Colours, Letters, Theme};
use crate::update::update;

pub(crate) mod alerts;
pub(crate) mod drift;
pub(crate) mod endpoints;
pub(crate) mod registry;

/// 2026-11-22T03:11:00Z.
pub(crate) const NOW_US: i64 = 1_795_317_060_000_000;

/// The sizes in which every screen is looked at.
pub(crate) const SIZES: [(&str, (u16, u16)); 3] = [
    ("80x24", (80, 24)),
    ("120x40", (120, 40)),
    ("200x60", (200, 60)),
];

/// A console, and what it asked for.
pub(crate) struct Stage {
    pub(crate) model: Model,
    pub(crate) now_us: i64,
    pub(crate) effects: Vec<Effect>,
}

pub(crate) fn setup(view: &str, size: (u16, u16)) -> Setup {
    Setup {
        theme: Theme::new(Colours::None, Background::Dark, Letters::Unicode),
        config: Config::default(),
        context: "prod-eu".into(),
        hub: "unix:/run/binnacle/hub.sock".into(),
        hint: false,
        size,
        now_us: NOW_US,
        open: Some(Place {
            view: view.into(),
            ..Place::default()
        }),
        session: None,
    }
}

impl Stage {
    /// A console that is not connected yet.
    pub(crate) fn dark(view: &str, size: (u16, u16)) -> Self {
        Self::of(setup(view, size))
    }

    pub(crate) fn of(setup: Setup) -> Self {
        let mut stage = Self {
            model: Model::new(setup),
            now_us: NOW_US,
            effects: Vec::new(),
        };
        stage.tell(Msg::Tick);
        stage
    }

    /// A console that is connected, and knows nothing yet.
    pub(crate) fn connected(view: &str, size: (u16, u16)) -> Self {
        let mut stage = Self::dark(view, size);
        stage.connect();
        stage
    }

    /// A console with so many hosts.
    pub(crate) fn with_hosts(view: &str, size: (u16, u16), hosts: usize) -> Self {
        let mut stage = Self::connected(view, size);
        stage.tell(Msg::Glances(glances(hosts)));
        stage
    }

    pub(crate) fn connect(&mut self) {
        self.tell(Msg::Link(Link::Live {
            caller: "alice".into(),
            hub_version: "0.1.0".into(),
        }));
    }

    pub(crate) fn lose(&mut self) {
        self.tell(Msg::Link(Link::Lost {
            why: "the hub ended the stream".into(),
            retry_us: self.now_us + 2_000_000,
            heard_us: None,
        }));
    }

    pub(crate) fn tell(&mut self, msg: Msg) {
        let effects = update(&mut self.model, self.now_us, msg);
        self.effects.extend(effects);
    }

    /// Time passes, as the loop would tell it.
    pub(crate) fn wait(&mut self, us: i64) {
        self.now_us += us;
        self.tell(Msg::Tick);
    }

    /// Keys with blanks between them.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.split_whitespace() {
            self.tell(Msg::Key(key.parse().unwrap()));
        }
    }

    /// Letters, one key each.
    pub(crate) fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let key = if letter == ' ' {
                "space".to_owned()
            } else {
                letter.to_string()
            };
            self.tell(Msg::Key(key.parse().unwrap()));
        }
    }

    /// Answers everything that was asked and is still open.
    pub(crate) fn answer(&mut self, with: impl Fn(&Question) -> Result<Answer, String>) {
        for effect in std::mem::take(&mut self.effects) {
            if let Effect::Ask {
                question,
                generation,
            } = effect
            {
                let answer = with(&question);
                self.tell(Msg::Answered {
                    question,
                    generation,
                    answer,
                });
            } else {
                self.effects.push(effect);
            }
        }
    }

    pub(crate) fn buffer(&self) -> Buffer {
        draw::frame(&self.model)
    }

    /// The screen as text, without blanks at the ends of lines.
    pub(crate) fn text(&self) -> String {
        text_of(&self.buffer())
    }

    pub(crate) fn line(&self, at: usize) -> String {
        self.text().lines().nth(at).unwrap_or_default().to_owned()
    }
}

pub(crate) fn text_of(buf: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buf.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buf.area.width {
            let symbol = buf[(x, y)].symbol();
            line.push_str(symbol);
            x += crate::widget::line::width(symbol).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Hosts of every kind: most are well; the seventh is slow, the eleventh dark, some silent.
pub(crate) fn glances(hosts: usize) -> Glances {
    Glances {
        as_of_us: NOW_US,
        minute_us: Some(NOW_US - 60_000_000),
        is_whole: true,
        hosts: (1..=hosts).map(glance).collect(),
    }
}

pub(crate) fn glance(number: usize) -> Glance {
    let (status, reason) = match number {
        11 => (Status::Crit, "connection refused"),
        17 => (Status::Warn, "fraud 8 does not answer: out of memory"),
        number if number % 40 == 39 => (Status::Silent, ""),
        _ => (Status::Ok, ""),
    };
    let slow = if number == 7 { 9 } else { 1 };
    let spread = (number % 13) as u64;
    let zone = ["eu-west-1a", "eu-west-1b", "eu-west-1c"][number % 3];
    let pairs = [
        ("zone", zone.to_owned()),
        ("rack", (number % 9).to_string()),
    ];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
    Glance {
        host: format!("infer-{number:04}").into(),
        environment: "prod".into(),
        labels: Labels::parse(pairs.into_iter().collect()).unwrap(),
        status,
        since_us: (status != Status::Ok).then_some(NOW_US - 190_000_000),
        reason: reason.into(),
        cell: Cell {
            requests: 60_000 + 731 * spread as u32,
            errors: if number == 17 { 246 } else { 0 },
            p50: Coarse::of_ns(Some(3_100_000 + 40_000 * spread)),
            p99: Coarse::of_ns(Some((38_000_000 + 700_000 * spread) * slow)),
        },
    }
}

/// The whole row of a host on the stage.
pub(crate) fn row(number: usize) -> HostRow {
    let glance = glance(number);
    let version = |version: &str, answers| VersionLights {
        model: "fraud".into(),
        version: version.into(),
        loaded: Light::On,
        answers,
        correct: Light::Unknown,
        reason: match answers {
            Light::Off => "out of memory".into(),
            Light::On | Light::Unknown => "".into(),
        },
    };
    let is_dark = number == 11;
    HostRow {
        name: Name::parse(&glance.host).unwrap(),
        environment: Name::parse("prod").unwrap(),
        labels: glance.labels.clone(),
        state: match glance.status {
            Status::Silent => HostState::Silent,
            Status::Retired => HostState::Retired,
            Status::Ok | Status::Warn | Status::Crit => HostState::Live,
        },
        since_us: glance.since_us,
        seen_at_us: Some(NOW_US - 400_000),
        connected_at_us: Some(NOW_US - 86_400_000_000),
        admitted_at_us: NOW_US - 30 * 86_400_000_000,
        agent_version: "0.1.0".into(),
        attachment: "path".into(),
        boot: None,
        generation_wanted: 4,
        generation_observed: 4,
        skew_us: 1_200,
        streams: 1,
        server: Some(ServerHealth {
            upstream: "http://127.0.0.1:8000".into(),
            process: if is_dark { Light::Off } else { Light::On },
            reason: if is_dark {
                "connection refused".into()
            } else {
                "".into()
            },
            versions: vec![
                version("7", Light::On),
                version("8", if number == 17 { Light::Off } else { Light::On }),
            ],
        }),
        vitals: Some(Vitals {
            cpu_permille: 310 + (number % 50) as u32 * 7,
            cores: 16,
            memory_used: 24 << 30,
            memory_total: 64 << 30,
            disk_used: 100 << 30,
            disk_total: 400 << 30,
            network_received_per_s: 4 << 20,
            network_sent_per_s: 3 << 20,
            agent_memory: 8 << 20,
            server_memory: 0,
        }),
        traffic: Some(Traffic {
            span_s: 10,
            requests: 10_400,
            errors: 0,
            p50_ns: Some(3_100_000),
            p99_ns: Some(38_200_000),
            in_flight: 4,
        }),
        losses: Losses::default(),
        retired_reason: "".into(),
        drain_reason: "".into(),
    }
}

/// Models on the stage, busiest first by their number.
pub(crate) fn models(count: usize) -> Vec<ModelRow> {
    let model = |number: usize| ModelRow {
        model: format!("model-{number:03}").into(),
        traffic: Traffic {
            span_s: 60,
            requests: 60_000 / number as u64,
            errors: if number == 3 { 40 } else { 0 },
            p50_ns: Some(3_000_000),
            p99_ns: (number < 20).then_some(41_000_000),
            in_flight: 2,
        },
    };
    (1..=count).map(model).collect()
}

/// An entry of the journal about a host.
pub(crate) fn entry(sequence: u64, kind: &str, host: &str, why: &str) -> EntryRow {
    EntryRow {
        sequence,
        at_us: NOW_US - 3_600_000_000 + sequence as i64 * 60_000_000,
        caller: "alice".into(),
        why: why.into(),
        kind: kind.into(),
        object: format!("host {host}").into(),
        data: serde_json::json!({ "host": host }),
        hash: Arc::from("5e".repeat(32)),
    }
}
