//! A table of which only the pages that are seen are here: sorted and searched at the hub.
//!
//! ```text
//!   MODEL▴           OWNER     VERSIONS  ALIASES          CHANGED
//! ▌ churn            bob             14  champion @12          2d
//!   fraud            alice            8  champion @7           3h
//! ```
//! Ten thousand rows cost what sixty do. What is selected is an object: it stays selected while
//! its page is told anew, and when it has gone, what stands in its place is.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::data::Known;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::registry::{Listed, Listing, PAGE, Rows, Told};
use crate::question::{Answer, Question};
use crate::screen::{Look, Step};
use crate::widget::grid::{Drawn, Grid, Seen, lines};

/// A row of a table of the registry.
pub trait Item: Sized {
    /// What it is known by.
    fn id(&self) -> Cow<'_, str>;
    /// The rows of a page, where they are of this kind.
    fn of(rows: &Rows) -> Option<&Vec<Self>>;
}

/// An order that the hub knows.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The hub's name of it.
    pub name: &'static str,
    /// The column that shows it.
    pub title: &'static str,
    /// Whether one wants the greatest first.
    pub descending: bool,
}

/// Where one stands in such a table.
#[derive(Debug)]
pub struct Paged {
    /// What is listed: the page, the search and the order are set here.
    listing: Listing,
    orders: &'static [Order],
    order: usize,
    top: usize,
    at: usize,
    total: Option<usize>,
    selected: Option<Arc<str>>,
    settled: Option<Arc<str>>,
    marks: BTreeSet<Arc<str>>,
}

/// What came of a question about a page.
pub fn listed(answer: &Answer) -> Option<&Arc<Listed>> {
    match answer.told()? {
        Told::Listed(listed) => Some(listed),
        Told::Lineage(_) | Told::Profile(_) | Told::Distances(_) => None,
    }
}

/// The rows that a listing's page was told as.
pub fn rows<'a, R: Item>(listing: &Listing, look: &Look<'a>) -> Known<'a, Vec<R>> {
    let question = Question::Listed(listing.clone());
    let pick = |answer: &'a Answer| R::of(&listed(answer)?.rows);
    look.data.known(&question, look.here_us, pick)
}

impl Paged {
    /// A table that begins at its first row, in the first of these orders.
    pub fn new(listing: Listing, orders: &'static [Order], search: &str) -> Self {
        let mut paged = Self {
            listing: Listing {
                search: search.into(),
                ..listing
            },
            orders,
            order: 0,
            top: 0,
            at: 0,
            total: None,
            selected: None,
            settled: None,
            marks: BTreeSet::new(),
        };
        paged.take_order();
        paged
    }

    fn take_order(&mut self) {
        if let Some(order) = self.orders.get(self.order) {
            self.listing.sort = order.name.into();
            self.listing.descending = order.descending;
        }
    }

    /// What is selected.
    pub fn selected(&self) -> Option<&Arc<str>> {
        self.selected.as_ref()
    }

    /// What is selected, once the selection has rested.
    pub fn settled(&self) -> Option<&Arc<str>> {
        self.settled.as_ref()
    }

    /// What is marked, in order.
    pub fn marked(&self) -> Vec<Arc<str>> {
        self.marks.iter().cloned().collect()
    }

    /// Selects a row by what it is known by, when it comes.
    pub fn select(&mut self, id: &str) {
        self.selected = Some(id.into());
        self.settled = Some(id.into());
    }

    /// The selection has rested.
    pub fn settle(&mut self) {
        self.settled.clone_from(&self.selected);
    }

    /// What is searched for.
    pub fn search(&self) -> &str {
        &self.listing.search
    }

    /// Searches for something else, from the first row on.
    pub fn set_search(&mut self, text: &str) {
        if *self.listing.search != *text {
            self.listing.search = text.into();
            self.begin();
        }
    }

    /// Rows in all, once it is known.
    pub fn total(&self) -> Option<usize> {
        self.total
    }

    fn begin(&mut self) {
        (self.at, self.top) = (0, 0);
        (self.total, self.selected, self.settled) = (None, None, None);
    }

    fn page(&self, at: usize, look: &Look<'_>) -> Listing {
        Listing {
            page: u32::try_from(at / PAGE).unwrap_or(u32::MAX),
            at_us: look.at_us.filter(|_| self.has_past()),
            ..self.listing.clone()
        }
    }

    /// Whether the hub tells these as they were.
    fn has_past(&self) -> bool {
        self.listing.noun == crate::question::registry::Noun::Models
    }

    /// The rows that are seen, from the first on, none past the last that is known.
    fn sight(&self, look: &Look<'_>) -> std::ops::Range<usize> {
        let height = lines(look, look.body).max(1);
        let end = self.top + height;
        self.top..self.total.map_or(end, |total| end.min(total.max(1)))
    }

    /// The pages that are seen.
    pub fn wants(&self, look: &Look<'_>) -> Vec<Question> {
        let sight = self.sight(look);
        let pages = sight.start / PAGE..=sight.end.saturating_sub(1).max(sight.start) / PAGE;
        let question = |page| Question::Listed(self.page(page * PAGE, look));
        pages.map(question).collect()
    }

    /// How much is known of the first page that is seen.
    pub fn known<'a>(&self, look: &Look<'a>) -> Known<'a, Arc<Listed>> {
        let question = Question::Listed(self.page(self.top, look));
        look.data.known(&question, look.here_us, listed)
    }

    fn rows<'a, R: Item>(&self, at: usize, look: &Look<'a>) -> Option<&'a Vec<R>> {
        match rows(&self.page(at, look), look) {
            Known::Here(rows, _) => Some(rows),
            Known::Loading | Known::Broken(_) => None,
        }
    }

    fn row<'a, R: Item>(&self, at: usize, look: &Look<'a>) -> Option<&'a R> {
        self.rows(at, look)?.get(at % PAGE)
    }

    /// The selected row, where it is here.
    pub fn chosen<'a, R: Item>(&self, look: &Look<'a>) -> Option<&'a R> {
        let row = self.row::<R>(self.at, look)?;
        (self.selected.as_deref() == Some(&*row.id())).then_some(row)
    }

    /// The row that the preview is about, where it is seen.
    pub fn rested<'a, R: Item>(&self, look: &Look<'a>) -> Option<&'a R> {
        let settled = self.settled.as_deref()?;
        let sight = self.sight(look);
        let pages = [sight.start, sight.end.saturating_sub(1)];
        let mut pages = pages.into_iter().filter_map(|at| self.rows::<R>(at, look));
        pages.find_map(|rows| rows.iter().find(|row| row.id() == settled))
    }

    /// The rows that are seen and here.
    pub fn seen<'a, R: Item>(&self, look: &Look<'a>) -> Vec<&'a R> {
        let sight = self.sight(look);
        sight.filter_map(|at| self.row(at, look)).collect()
    }

    /// Something that it shows has changed, or its size.
    pub fn learn<R: Item>(&mut self, look: &Look<'_>) {
        if let Known::Here(page, _) = self.known(look) {
            self.total = Some(page.total as usize);
        }
        let last = self.total.unwrap_or(usize::MAX).saturating_sub(1);
        if let Some(selected) = self.selected.clone() {
            let near = [self.at, self.top, self.at.saturating_sub(PAGE)];
            let found = near.into_iter().find_map(|at| {
                let rows = self.rows::<R>(at, look)?;
                let place = rows.iter().position(|row| *row.id() == *selected)?;
                Some(at / PAGE * PAGE + place)
            });
            if let Some(found) = found {
                self.at = found;
            }
        }
        self.at = self.at.min(last);
        self.follow::<R>(look);
        if self.settled.is_none() {
            self.settle();
        }
    }

    /// Selects what stands at the cursor, where it is here, and scrolls so that it is seen.
    fn follow<R: Item>(&mut self, look: &Look<'_>) {
        if let Some(row) = self.row::<R>(self.at, look) {
            let id = row.id();
            if self.selected.as_deref() != Some(&*id) {
                self.selected = Some(id.as_ref().into());
            }
        }
        let height = lines(look, look.body).max(1);
        let last = self
            .total
            .map_or(usize::MAX, |all| all.saturating_sub(height));
        let least = (self.at + 1).saturating_sub(height);
        self.top = self.top.clamp(least, self.at).min(last.max(least));
    }

    /// Does what a command asks of the table; nothing where it asks nothing of it.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other commands do not move")]
    pub fn on<R: Item>(&mut self, command: Command, look: &Look<'_>) -> Option<Vec<Step>> {
        let last = self.total.unwrap_or(0).saturating_sub(1);
        let half = (lines(look, look.body) / 2).max(1);
        self.at = match command {
            Command::Down => (self.at + 1).min(last),
            Command::Up => self.at.saturating_sub(1),
            Command::Top => 0,
            Command::Bottom => last,
            Command::PageDown => (self.at + half).min(last),
            Command::PageUp => self.at.saturating_sub(half),
            other => return self.on_rows::<R>(other, look),
        };
        // Where the row is not here yet, nothing is selected until it comes.
        if self.row::<R>(self.at, look).is_none() {
            self.selected = None;
        }
        self.follow::<R>(look);
        Some(vec![Step::Moved])
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands are the screen's"
    )]
    fn on_rows<R: Item>(&mut self, command: Command, look: &Look<'_>) -> Option<Vec<Step>> {
        match command {
            Command::Mark => {
                if let Some(selected) = self.selected.clone()
                    && !self.marks.remove(&selected)
                {
                    self.marks.insert(selected);
                }
                self.on::<R>(Command::Down, look)
            }
            Command::Unmark => {
                self.marks.clear();
                Some(Vec::new())
            }
            Command::Sort if self.orders.len() > 1 => {
                self.order = (self.order + 1) % self.orders.len();
                self.take_order();
                self.begin();
                Some(vec![Step::Say(Ok(self.order_words()))])
            }
            Command::SortReverse if !self.orders.is_empty() => {
                self.listing.descending = !self.listing.descending;
                self.begin();
                Some(vec![Step::Say(Ok(self.order_words()))])
            }
            Command::Copy => {
                let names = match self.marks.is_empty() {
                    true => self.selected.iter().cloned().collect(),
                    false => self.marked(),
                };
                Some(vec![Step::Effect(Effect::Copy(names.join("\n")))])
            }
            _ => None,
        }
    }

    fn order_words(&self) -> String {
        let title = self.orders.get(self.order).map_or("", |order| order.title);
        match self.listing.descending {
            true => format!("sorted by {title}, greatest first"),
            false => format!("sorted by {title}, least first"),
        }
    }

    /// Draws the rows that are seen.
    pub fn draw<R: Item>(
        &self,
        columns: Vec<Drawn<'_, R>>,
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) {
        let sorted = self.orders.get(self.order);
        let grid = Grid {
            columns,
            sorted: sorted.map(|order| (order.title, self.listing.descending)),
            selected: self.selected.as_deref(),
            marks: &self.marks,
        };
        let sight = self.sight(look);
        let mut page: (usize, Option<&Vec<R>>) = (usize::MAX, None);
        let seen = sight.map(|at| {
            if page.0 != at / PAGE {
                page = (at / PAGE, self.rows(at, look));
            }
            let row = page.1?.get(at % PAGE)?;
            Some(Seen {
                id: row.id(),
                row,
                is_stale: false,
            })
        });
        grid.draw(seen, look, area, buf);
    }
}
