//! The fleet by zone, where only the exceptions are named.
//!
//! ```text
//!  FLEET BY ZONE
//!  eu-west-1a    137  x infer-0011  ! infer-0007  ? infer-0039 …3 more
//!  eu-west-1b    138  + all well
//! ```
//! A zone is the label `zone`; hosts without one stand under their environment.

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_core::view::{Glance, Object, Status, Troubles, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::format;
use crate::screen::Look;
use crate::screen::hosts::status_meaning;
use crate::theme::Meaning;
use crate::widget::line;

/// The label that says where a host stands.
const LABEL: &str = "zone";
/// Exceptions that are kept by name: more than fit on a line of the widest screen.
const MAX_NAMED: usize = 20;
/// Columns of a zone's name.
const NAME: u16 = 14;
/// Columns of the number of its hosts.
const COUNT: u16 = 6;

/// The zones, those with exceptions first.
#[derive(Debug, Default)]
pub(super) struct Zones(Vec<Zone>);

#[derive(Debug, Default)]
struct Zone {
    name: Arc<str>,
    hosts: usize,
    /// The worst ones by name, worst first.
    exceptions: Vec<(Status, Arc<str>)>,
    /// All that are not well.
    ailing: usize,
}

impl Zones {
    /// Groups hosts; one in a trouble of its own is an exception, whatever it says itself.
    pub(super) fn of<'a>(hosts: impl Iterator<Item = &'a Glance>, found: &Troubles) -> Self {
        let named = found
            .list
            .iter()
            .filter_map(|trouble| match &trouble.object {
                Object::Host(host) => Some((&**host, trouble.severity)),
                Object::Hosts(_) | Object::Endpoint(_) => None,
            });
        let named: BTreeMap<&str, Status> = named.collect();
        let mut zones = BTreeMap::<&str, Zone>::new();
        for host in hosts.filter(|host| host.status != Status::Retired) {
            let label = host.labels.iter().find(|(key, _)| *key == LABEL);
            let name = label.map_or(&*host.environment, |(_, value)| value);
            let zone = zones.entry(name).or_default();
            zone.hosts += 1;
            let status = match named.get(&*host.host) {
                Some(severity) => *severity,
                None => host.status,
            };
            if status != Status::Ok {
                zone.ailing += 1;
                zone.keep(status, &host.host);
            }
        }
        let named = zones.into_iter().map(|(name, zone)| Zone {
            name: name.into(),
            ..zone
        });
        let mut zones: Vec<Zone> = named.collect();
        let worst = |zone: &Zone| zone.exceptions.first().map(|(status, _)| *status);
        zones.sort_by_key(|zone| std::cmp::Reverse(worst(zone)));
        Self(zones)
    }

    /// Draws as many as fit, and counts the others.
    pub(super) fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        if area.height < 2 {
            return;
        }
        line::draw(
            "FLEET BY ZONE",
            look.style(Meaning::Title),
            line::row(area, 0),
            buf,
        );
        let room = usize::from(area.height - 1);
        let (shown_zones, rest) = match self.0.len() <= room {
            true => (self.0.as_slice(), &[][..]),
            false => self.0.split_at(room - 1),
        };
        for (at, zone) in shown_zones.iter().enumerate() {
            let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
            zone.draw(look, place, buf);
        }
        if !rest.is_empty() {
            let ailing: usize = rest.iter().map(|zone| zone.ailing).sum();
            let words = match ailing {
                0 => format!("{} more zones, all well", rest.len()),
                ailing => format!("{} more zones with {ailing} hosts not well", rest.len()),
            };
            let place = line::row(area, area.height - 1);
            line::draw(&words, look.style(Meaning::Quiet), place, buf);
        }
    }
}

impl Zone {
    /// Keeps the worst, in order of name among equals.
    fn keep(&mut self, status: Status, host: &Arc<str>) {
        let before = |(other, name): &(Status, Arc<str>)| {
            (std::cmp::Reverse(*other), name) < (std::cmp::Reverse(status), host)
        };
        let at = self.exceptions.partition_point(before);
        if at < MAX_NAMED {
            self.exceptions.insert(at, (status, host.clone()));
            self.exceptions.truncate(MAX_NAMED);
        }
    }

    fn draw(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let name = Rect {
            width: NAME.min(area.width),
            ..area
        };
        line::draw(&shown(&self.name), look.style(Meaning::Text), name, buf);
        let count = Rect {
            x: area.x.saturating_add(NAME),
            width: COUNT.min(area.width.saturating_sub(NAME)),
            ..area
        };
        let hosts = format::count(self.hosts as u64);
        let right = ratatui::layout::Alignment::Right;
        line::draw_aligned(&hosts, look.style(Meaning::Quiet), right, count, buf);
        let from = NAME + COUNT + 2;
        let rest = Rect {
            x: area.x.saturating_add(from),
            width: area.width.saturating_sub(from),
            ..area
        };
        line::draw_pieces(&self.pieces(look, rest.width), rest, buf);
    }

    /// The exceptions that fit whole, and how many do not.
    fn pieces(&self, look: &Look<'_>, width: u16) -> Vec<(String, Style)> {
        if self.ailing == 0 {
            return vec![("+ all well".into(), look.style(Meaning::Quiet))];
        }
        let mut pieces = Vec::new();
        let mut left = width;
        let mut named = 0;
        for (status, host) in &self.exceptions {
            let text = format!("{} {}  ", status.glyph(), shown(host));
            // Room for how many more there are.
            let spare = if named + 1 < self.ailing { 9 } else { 0 };
            if line::width(&text) > left.saturating_sub(spare) + 2 {
                break;
            }
            left = left.saturating_sub(line::width(&text));
            pieces.push((text, look.style(status_meaning(*status))));
            named += 1;
        }
        let more = match (named, self.ailing - named) {
            (_, 0) => return pieces,
            (0, more) => format!("{more} not well"),
            (_, more) => format!("{more} more"),
        };
        pieces.push((more, look.style(Meaning::Quiet)));
        pieces
    }
}
