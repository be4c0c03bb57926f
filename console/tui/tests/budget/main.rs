//! What the console may cost, in bytes on the line and in processor time: counted on the bytes
//! that a terminal would get, over a fleet of fifty thousand hosts, and over as many models.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::indexing_slicing,
    reason = "a test may stop at what cannot be"
)]

use binnacle_core::view::{Cell, Coarse, Glance, Glances, Labels, Status};
use binnacle_tui::config::Config;
use binnacle_tui::draw;
use binnacle_tui::model::{Dirty, Model, Setup};
use binnacle_tui::msg::{Effect, Link, Msg};
use binnacle_tui::paint;
use binnacle_tui::screen::Place;
use binnacle_tui::theme::{Background, Colours, Letters, Theme};
use binnacle_tui::update::update;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::time::{ClockId, clock_gettime};

mod registry;
mod rollouts;

const NOW_US: i64 = 1_795_317_060_000_000;

struct Console {
    model: Model,
    /// What the terminal shows.
    shown: Buffer,
    now_us: i64,
    /// What was asked for, and nobody has seen to yet.
    asked: Vec<Effect>,
}

impl Console {
    /// The table of so many hosts.
    fn new(size: (u16, u16), hosts: usize) -> Self {
        let mut console = Self::open("hosts", "", size);
        // What is asked of the hub is not answered here.
        console.tell(Msg::Glances(fleet(hosts)));
        console
    }

    /// A view of something, connected.
    fn open(view: &str, object: &str, size: (u16, u16)) -> Self {
        let model = Model::new(Setup {
            theme: Theme::new(Colours::True, Background::Dark, Letters::Unicode),
            config: Config::default(),
            context: "prod-eu".into(),
            hub: "unix:/run/binnacle/hub.sock".into(),
            hint: false,
            size,
            now_us: NOW_US,
            open: Some(Place {
                view: view.into(),
                object: object.into(),
                ..Place::default()
            }),
            session: None,
        });
        let mut console = Self {
            model,
            shown: Buffer::empty(Rect::new(0, 0, size.0, size.1)),
            now_us: NOW_US,
            asked: Vec::new(),
        };
        console.tell(Msg::Link(Link::Live {
            caller: "alice".into(),
            hub_version: "0.1.0".into(),
        }));
        console
    }

    fn tell(&mut self, msg: Msg) {
        let effects = update(&mut self.model, self.now_us, msg);
        self.asked.extend(effects);
    }

    /// Draws if there is a reason to, as the loop does; answers with the bytes of what changed.
    fn paint(&mut self) -> Vec<u8> {
        if self.model.take_dirty() == Dirty::No {
            return Vec::new();
        }
        let mut frame = Buffer::empty(self.shown.area);
        draw::draw(&self.model, &mut frame);
        let bytes = paint::changes(&self.shown, &frame);
        self.shown = frame;
        bytes
    }

    /// What the key itself draws; what it asks is not answered.
    fn press(&mut self, key: &str) -> Vec<u8> {
        self.tell(Msg::Key(key.parse().unwrap()));
        self.paint()
    }
}

fn fleet(hosts: usize) -> Glances {
    let zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
    let labels: Vec<Labels> = zones
        .iter()
        .map(|zone| Labels::parse([("zone".into(), (*zone).into())].into()).unwrap())
        .collect();
    let glance = |number: usize| Glance {
        host: format!("infer-{number:05}").into(),
        environment: "prod".into(),
        labels: labels[number % 3].clone(),
        status: if number.is_multiple_of(97) {
            Status::Warn
        } else {
            Status::Ok
        },
        since_us: None,
        reason: "".into(),
        cell: Cell {
            requests: 60_000 + number as u32,
            errors: (number % 7) as u32,
            p50: Coarse::of_ns(Some(3_000_000 + number as u64)),
            p99: Coarse::of_ns(Some(30_000_000 + (number as u64 * 7_919) % 40_000_000)),
        },
    };
    Glances {
        as_of_us: NOW_US,
        minute_us: Some(NOW_US),
        is_whole: true,
        hosts: (0..hosts).map(glance).collect(),
    }
}

/// Processor time of this thread in microseconds: unlike time by the clock, others on the
/// machine do not add to it.
fn cpu_us() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// The least of some runs: what it costs, without what the machine did besides.
fn least_us(mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let before = cpu_us();
        run();
        cpu_us() - before
    };
    (0..15).map(once).fold(f64::INFINITY, f64::min)
}

#[test]
fn the_first_paint_is_at_most_12_kb() {
    let mut console = Console::new((120, 40), 50_000);
    let bytes = console.paint().len();
    println!("first paint of 120×40: {bytes} bytes");
    assert!((2_000..=12_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_cursor_move_is_at_most_300_bytes_and_its_preview_2_kb() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut console = Console::new(size, 50_000);
        console.paint();
        for key in ["j", "j", "k", "down"] {
            let bytes = console.press(key).len();
            println!("{size:?} {key}: {bytes} bytes");
            assert!((10..=300).contains(&bytes), "{size:?} {key}: {bytes}");
            console.now_us += 200_000;
            console.tell(Msg::Tick);
            let preview = console.paint().len();
            println!("{size:?} preview: {preview} bytes");
            assert!(preview <= 2_000, "{size:?}: {preview}");
        }
    }
}

#[test]
fn nothing_is_drawn_while_nothing_happens() {
    let mut console = Console::new((120, 40), 1_000);
    console.paint();
    for _ in 0..50 {
        console.now_us += 1_000_000;
        console.tell(Msg::Tick);
        assert_eq!(console.model.take_dirty(), Dirty::No);
    }
}

#[test]
fn a_frame_of_200_by_60_over_50_000_rows_takes_at_most_a_millisecond() {
    let mut console = Console::new((200, 60), 50_000);
    console.paint();
    let model = &console.model;
    let mut buffer = Buffer::empty(Rect::new(0, 0, 200, 60));
    let us = least_us(|| draw::draw(model, &mut buffer));
    println!("a frame of 200×60 over 50,000 rows: {us:.0} µs");
    assert!(us <= 1_000.0, "{us} µs");
}

#[test]
fn a_key_in_50_000_rows_is_answered_in_a_millisecond() {
    let mut console = Console::new((200, 60), 50_000);
    console.paint();
    let us = least_us(|| console.tell(Msg::Key("j".parse().unwrap())));
    println!("a key over 50,000 rows: {us:.0} µs");
    assert!(us <= 1_000.0, "{us} µs");
}

#[test]
fn a_filter_of_50_000_rows_takes_at_most_ten_milliseconds() {
    for text in [
        "0042",
        "p99>55",
        "zone~west-1b",
        "status!=ok p99>40 errors>0",
    ] {
        let mut console = Console::new((120, 40), 50_000);
        console.paint();
        console.press("/");
        let mut worst: f64 = 0.0;
        for letter in text.chars() {
            let key = if letter == ' ' {
                "space".into()
            } else {
                letter.to_string()
            };
            let before = cpu_us();
            console.tell(Msg::Key(key.parse().unwrap()));
            worst = worst.max(cpu_us() - before);
        }
        println!("filter {text:?}: at most {:.1} ms a letter", worst / 1e3);
        assert!(worst <= 10_000.0, "{text}: {worst} µs");
    }
}
