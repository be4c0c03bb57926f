//! Entries as they are collected page by page, from the newest back, and as they arrive.

use std::sync::Arc;

use binnacle_core::view::EntryRow;

use super::{Written, page_of};
use crate::data::Known;
use crate::question::Question;
use crate::screen::Look;

/// Entries that are held: weeks of a busy fleet in some megabytes. Older ones are for the
/// headless command.
pub(super) const MAX_ENTRIES: usize = 5_000;

/// Entries, and which more there may be.
#[derive(Debug)]
pub(super) struct Collected {
    /// Only those about this host.
    host: Option<Arc<str>>,
    /// Oldest first, without gaps as far as the hub told.
    rows: Vec<Written>,
    /// Whether the newest page was ever told.
    is_known: bool,
    /// Whether there is none before the oldest.
    is_whole: bool,
}

impl Collected {
    /// Nothing yet.
    pub(super) fn about(host: Option<Arc<str>>) -> Self {
        Self {
            host,
            rows: Vec::new(),
            is_known: false,
            is_whole: false,
        }
    }

    /// The host that it is about.
    pub(super) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Oldest first.
    pub(super) fn rows(&self) -> &[Written] {
        &self.rows
    }

    /// Whether anything was told yet.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether there is no older entry.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether no older entry is collected any more.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= MAX_ENTRIES
    }

    /// The oldest that is held.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.rows.first().map(|row| row.entry.sequence)
    }

    /// What asks for the newest entries.
    pub(super) fn newest(&self) -> Question {
        Question::Journal {
            host: self.host.clone(),
            before: None,
        }
    }

    /// What asks for the page before the oldest entry; nothing where there is none, or where
    /// no more are held.
    pub(super) fn older(&self) -> Option<Question> {
        let before = self.oldest()?;
        (!self.is_whole && !self.is_full()).then(|| Question::Journal {
            host: self.host.clone(),
            before: Some(before),
        })
    }

    /// Takes in what was told since.
    pub(super) fn learn(&mut self, look: &Look<'_>) {
        if let Known::Here(page, _) = look.data.known(&self.newest(), look.here_us, page_of) {
            self.is_known = true;
            self.take_newest(page);
        }
        if self.is_known {
            // The oldest of those that arrived first, so that each follows the one before.
            for entry in look.data.entries.iter().rev() {
                self.take_live(entry);
            }
        }
        if let Some(question) = self.older()
            && let Known::Here(page, _) = look.data.known(&question, look.here_us, page_of)
        {
            self.take_older(page);
        }
        if self.oldest() == Some(1) {
            self.is_whole = true;
        }
        let surplus = self.rows.len().saturating_sub(MAX_ENTRIES);
        if surplus > 0 {
            self.rows.drain(..surplus);
            self.is_whole = false;
        }
    }

    fn last(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.entry.sequence)
    }

    /// The newest page: what is newer than all is added, what was missed is put in its place.
    fn take_newest(&mut self, page: &[EntryRow]) {
        let Some(oldest) = page.last() else {
            // Nothing at all is told: then there is nothing before it either.
            self.is_whole |= self.rows.is_empty();
            return;
        };
        if oldest.sequence > self.last() {
            // More was written than a page holds: between the two there may be others, and a
            // list with a hole would be a lie. The older ones are fetched again.
            let is_next = self.host.is_none() && oldest.sequence == self.last() + 1;
            if !is_next {
                self.rows.clear();
                self.is_whole = false;
            }
        }
        for entry in page.iter().rev() {
            self.insert(entry);
        }
    }

    /// An entry that arrives as it is written.
    fn take_live(&mut self, entry: &EntryRow) {
        let is_ours = match &self.host {
            // All entries are told one after another: one that does not follow comes again
            // with the newest page, and those between with it.
            None => entry.sequence == self.last() + 1,
            Some(host) => entry.sequence > self.last() && entry.host() == Some(&**host),
        };
        if is_ours {
            self.insert(entry);
        }
    }

    fn take_older(&mut self, page: &[EntryRow]) {
        if page.is_empty() {
            self.is_whole = true;
        }
        let oldest = self.oldest().unwrap_or(u64::MAX);
        let mut older: Vec<Written> = page
            .iter()
            .rev()
            .filter(|entry| entry.sequence < oldest)
            .map(Written::of)
            .collect();
        // The newest of them are nearest to what is held already.
        let room = MAX_ENTRIES.saturating_sub(self.rows.len());
        older.drain(..older.len().saturating_sub(room));
        self.rows.splice(..0, older);
    }

    fn insert(&mut self, entry: &EntryRow) {
        let place = self
            .rows
            .binary_search_by_key(&entry.sequence, |row| row.entry.sequence);
        if let Err(at) = place {
            self.rows.insert(at, Written::of(entry));
        }
    }
}

impl Written {
    fn of(entry: &EntryRow) -> Self {
        Self {
            id: entry.sequence.to_string().into(),
            entry: entry.clone(),
        }
    }
}
