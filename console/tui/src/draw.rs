//! Drawing: the strip, the breadcrumb, the screen, what is under way, what lies over it, the key
//! bar.
//!
//! ```text
//!  PROD-EU LIVE 412 hosts 398+ 11! 3x                        03:11Z alice
//!  Hosts > infer-0042                    filter: p99>250  37/412
//!  …
//!  ▸ prod/fraud rev 41 → fraud@8 100%  step 2/3 baking ▓▓▓▓░░░░░░ 6/8 hosts
//!  <enter> open  <space> mark  </> filter  <:> command  <?> keys
//! ```
//! Nothing is changed here, and only what is visible is built.

use binnacle_core::view::{Status, shown};
use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;

use crate::format;
use crate::keymap::{Command, line_of};
use crate::model::{LEAST, Model};
use crate::msg::Link;
use crate::overlay;
use crate::screen::hosts::status_meaning;
use crate::theme::{Letters, Meaning};
use crate::widget::line;

mod ascii;
mod jobs;

/// Where things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    /// How it stands: always the first line.
    pub strip: Rect,
    /// Where one is; empty where the screen needs none.
    pub crumbs: Rect,
    /// The screen.
    pub body: Rect,
    /// What is under way; empty where nothing is.
    pub jobs: Rect,
    /// The hint or the notice; empty where there is none.
    pub notice: Rect,
    /// Keys, or what is typed: always the last line.
    pub bar: Rect,
}

/// Where things are on a terminal of this size.
pub(crate) fn regions(model: &Model) -> Regions {
    let (width, height) = model.size;
    let has_crumbs = !model.trail.is_empty() && !model.screen().crumbs().is_empty();
    let has_notice = model.notice.is_some() || !model.hint.is_empty();
    let (crumbs, notice) = (u16::from(has_crumbs), u16::from(has_notice));
    let jobs = jobs::lines(model);
    let area = |y: u16, lines: u16| Rect {
        x: 0,
        y: y.min(height),
        width,
        height: lines.min(height.saturating_sub(y)),
    };
    let body = height.saturating_sub(2 + crumbs + jobs + notice);
    Regions {
        strip: area(0, 1),
        crumbs: area(1, crumbs),
        body: area(1 + crumbs, body),
        jobs: area(1 + crumbs + body, jobs),
        notice: area(1 + crumbs + body + jobs, notice),
        bar: area(height.saturating_sub(1), 1),
    }
}

/// Draws the model.
pub fn draw(model: &Model, buf: &mut Buffer) {
    buf.reset();
    let (width, height) = model.size;
    let area = Rect::new(0, 0, width, height).intersection(buf.area);
    if area.is_empty() {
        return;
    }
    if (width, height) < LEAST || width < LEAST.0 || height < LEAST.1 {
        let words = format!("too small: needs {}×{}; q leaves", LEAST.0, LEAST.1);
        line::draw(&words, Style::new(), area, buf);
    } else {
        let regions = regions(model);
        strip(model, regions.strip, buf);
        crumbs(model, regions.crumbs, buf);
        model.screen().draw(&model.look(), buf);
        jobs::draw(model, regions.jobs, buf);
        notice(model, regions.notice, buf);
        bar(model, regions.bar, buf);
        which_key(model, regions.body, buf);
        if let Some(over) = &model.overlay {
            let words = model.screen().filter_words();
            overlay::draw(over, words, &model.look(), &regions, buf);
        }
    }
    if model.theme.letters == Letters::Ascii {
        ascii::reduce(buf);
    }
}

/// A whole buffer, for those who have none.
pub fn frame(model: &Model) -> Buffer {
    let (width, height) = model.size;
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    draw(model, &mut buf);
    buf
}

fn strip(model: &Model, area: Rect, buf: &mut Buffer) {
    let look = model.look();
    let is_protected = model.protected.iter().any(|name| **name == *model.context);
    let base = match is_protected {
        true => look.style(Meaning::Protected),
        false => Style::new(),
    };
    buf.set_style(area, base);
    let style = |meaning| base.patch(look.style(meaning));
    let mut pieces = vec![(
        format!(" {} ", shown(&model.context).to_uppercase()),
        style(Meaning::Title),
    )];
    pieces.extend(standing(model).map(|(text, meaning)| (text, style(meaning))));
    pieces.push(("  ".into(), base));
    let fleet = look.fleet;
    if look.data.fleet.is_known || look.at_us.is_some() {
        let all = fleet.hosts().len();
        let hosts = if all == 1 { "host" } else { "hosts" };
        pieces.push((
            format!("{} {hosts}", format::count(all as u64)),
            style(Meaning::Text),
        ));
        for status in [Status::Ok, Status::Warn, Status::Crit, Status::Silent] {
            let count = fleet.count(status);
            if count > 0 {
                let text = format!(" {}{}", format::count(count as u64), status.glyph());
                pieces.push((text, style(status_meaning(status))));
            }
        }
    }
    let taken = line::draw_pieces(&pieces, area, buf);
    let rest = Rect {
        x: area.x + taken,
        width: area.width.saturating_sub(taken),
        ..area
    };
    let right = format!("{} {} ", clock(look.now_us), shown(&look.data.caller));
    if line::width(&right) < rest.width {
        line::draw_aligned(&right, style(Meaning::Quiet), Alignment::Right, rest, buf);
    }
}

/// How it stands with the hub, and what else changes the meaning of everything below.
fn standing(model: &Model) -> impl Iterator<Item = (String, Meaning)> {
    let look = model.look();
    let data = look.data;
    let ago = data.heard_us.map(|us| format::age(model.now_us - us));
    let link = match (&model.data.link, ago) {
        (Link::Live { .. }, _) => ("LIVE".to_owned(), Meaning::Ok),
        (Link::Connecting { to }, None) => (format!("CONNECTING to {to}"), Meaning::Warn),
        (Link::Lost { why, .. }, None) => (format!("NO HUB: {}", shown(why)), Meaning::Crit),
        (Link::Connecting { .. } | Link::Lost { .. }, Some(ago)) => {
            (format!("STALE {ago}, reconnecting"), Meaning::Crit)
        }
    };
    let past = look.at_us.map(|at_us| {
        let ago = format::age(look.now_us - at_us);
        (
            format!(" AT {} ({ago} ago)", clock(at_us)),
            Meaning::Protected,
        )
    });
    let frozen = model
        .frozen
        .is_some()
        .then(|| (" FROZEN".to_owned(), Meaning::Protected));
    let armed = model
        .armed_until_us
        .map(|_| (" ARMED".to_owned(), Meaning::Warn));
    std::iter::once(link).chain(past).chain(frozen).chain(armed)
}

/// Hours and minutes in UTC.
pub fn clock(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us);
    at.map_or_else(|_| "–".into(), |at| at.strftime("%H:%MZ").to_string())
}

fn crumbs(model: &Model, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let look = model.look();
    let crumbs = model.screen().crumbs();
    let text = format!(" {}", crumbs.join(" > "));
    let taken = line::draw(&text, look.style(Meaning::Title), area, buf);
    let rest = Rect {
        x: area.x + taken + 1,
        width: area.width.saturating_sub(taken + 2),
        ..area
    };
    let note = model.screen().note(&look);
    line::draw_aligned(
        &note,
        look.style(Meaning::Quiet),
        Alignment::Right,
        rest,
        buf,
    );
}

fn notice(model: &Model, area: Rect, buf: &mut Buffer) {
    let look = model.look();
    if let Some(notice) = &model.notice {
        let (text, meaning) = match &notice.text {
            Ok(text) => (text, Meaning::Accent),
            Err(text) => (text, Meaning::Warn),
        };
        line::draw(&format!(" {}", shown(text)), look.style(meaning), area, buf);
        return;
    }
    let mut pieces = vec![(" new? ".to_owned(), look.style(Meaning::Accent))];
    for command in &model.hint {
        key_pieces(model, *command, &mut pieces);
    }
    line::draw_pieces(&pieces, area, buf);
}

fn key_pieces(model: &Model, command: Command, pieces: &mut Vec<(String, Style)>) {
    let look = model.look();
    if let (Some(line), Some(keys)) = (line_of(command), model.keys.keys_of(command)) {
        pieces.push((format!(" <{keys}>"), look.style(Meaning::Key)));
        pieces.push((format!(" {} ", line.short), look.style(Meaning::Quiet)));
    }
}

/// The keys that do something here, as many as fit.
fn bar(model: &Model, area: Rect, buf: &mut Buffer) {
    let look = model.look();
    let everywhere = [
        Command::Actions,
        Command::Filter,
        Command::Palette,
        Command::Help,
    ];
    let offers = model.screen().offers(&look);
    let offered = |command: &Command| {
        offers.contains(command) || !matches!(command, Command::Actions | Command::Filter)
    };
    let always: Vec<Command> = everywhere.into_iter().filter(offered).collect();
    let first = offers
        .iter()
        .filter(|command| !everywhere.contains(command))
        .take(2);
    let rest = offers
        .iter()
        .filter(|command| !everywhere.contains(command))
        .skip(2);
    let commands = first.chain(&always).chain(rest);
    let mut x = area.x;
    for command in commands {
        let mut pieces = Vec::new();
        key_pieces(model, *command, &mut pieces);
        let width: u16 = pieces.iter().map(|(text, _)| line::width(text)).sum();
        if x + width > area.right() {
            break;
        }
        let place = Rect { x, width, ..area };
        line::draw_pieces(&pieces, place, buf);
        x += width;
    }
}

/// The keys that may follow the first, once one has waited for them.
fn which_key(model: &Model, area: Rect, buf: &mut Buffer) {
    let Some(pending) = &model.pending else {
        return;
    };
    if model.now_us < pending.help_us {
        return;
    }
    let look = model.look();
    let typed: Vec<String> = pending.keys.iter().map(ToString::to_string).collect();
    let lines: Vec<_> = model.keys.after(&pending.keys).collect();
    let height = u16::try_from(lines.len() + 1)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = Rect {
        y: area.bottom() - height,
        height,
        ..area
    };
    overlay::clear(place, buf);
    let title = format!(" {} …", typed.join(" "));
    line::draw(&title, look.style(Meaning::Title), place, buf);
    for (at, (rest, binding)) in lines.iter().enumerate() {
        let keys: Vec<String> = rest.iter().map(ToString::to_string).collect();
        let pieces = [
            (format!("  <{}> ", keys.join(" ")), look.style(Meaning::Key)),
            (format!("{}: {}", binding.name, binding.help), Style::new()),
        ];
        let place = line::row(place, u16::try_from(at + 1).unwrap_or(u16::MAX));
        line::draw_pieces(&pieces, place, buf);
    }
}
