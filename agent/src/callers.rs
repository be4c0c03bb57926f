//! Who calls an endpoint, and whose requests fail: an application that sends something wrong is
//! told from a version that has something wrong.
//!
//! A caller is what a header says, where one is configured, else the address that it calls from.
//! Workers count by themselves and add up once a second, so that no request waits; of each
//! endpoint the callers that fail most and call most are told, the others together.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::window::Outcome;

/// Callers of one endpoint that are told.
pub const TOLD: usize = 20;
/// Callers of one endpoint that are counted by themselves between two words to the hub: of more it
/// is no one's fault alone.
const COUNTED: usize = 512;
/// Bytes of a caller's name that are kept.
pub const NAME_MOST: usize = 64;
/// All those that are not told by themselves.
pub const OTHERS: &str = "";

/// How often one called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests that ended well, or by the server's fault.
    pub requests: u64,
    /// Those that ended by the server's fault.
    pub errors: u64,
}

impl Calls {
    /// Counts one that ended so; a client's own errors and those who left are nobody's here.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.requests += 1,
            Outcome::ServerError | Outcome::UpstreamRefused | Outcome::TimedOut => {
                self.requests += 1;
                self.errors += 1;
            }
            Outcome::ClientError | Outcome::ClientGone => {}
        }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
    }
}

/// What one caller did at one endpoint.
pub type Called = ((Arc<str>, Box<str>), Calls);

/// Calls by endpoint and caller.
#[derive(Debug, Default)]
pub(crate) struct Book(HashMap<Arc<str>, HashMap<Box<str>, Calls>>);

impl Book {
    /// Counts one request.
    pub(crate) fn count(&mut self, endpoint: &Arc<str>, caller: &str, outcome: Outcome) {
        let mut one = Calls::default();
        one.count(outcome);
        match self.0.get_mut(endpoint) {
            Some(callers) => add(callers, caller, one),
            None => add(self.0.entry(endpoint.clone()).or_default(), caller, one),
        }
    }
}

/// Adds to what a caller did. Nothing is allocated for one that is known: this is in the way of
/// every request.
fn add(callers: &mut HashMap<Box<str>, Calls>, caller: &str, calls: Calls) {
    if let Some(known) = callers.get_mut(caller) {
        return known.add(calls);
    }
    let name = match callers.len() < COUNTED {
        true => caller,
        false => OTHERS,
    };
    callers.entry(name.into()).or_default().add(calls);
}

/// What all workers counted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Callers(Arc<Mutex<Book>>);

impl Callers {
    /// Takes in what a worker counted, and clears that.
    pub(crate) fn add(&self, book: &mut Book) {
        if book.0.is_empty() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (endpoint, callers) in book.0.drain() {
            let known = all.0.entry(endpoint).or_default();
            for (caller, calls) in callers {
                add(known, &caller, calls);
            }
        }
    }

    /// What was counted since this was last asked, by endpoint and caller.
    pub fn take(&self) -> Vec<Called> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut told = Vec::new();
        for (endpoint, callers) in all.0 {
            let some = some(callers).into_iter();
            told.extend(some.map(|(caller, calls)| ((endpoint.clone(), caller), calls)));
        }
        told
    }
}

/// Those that fail most, then those that call most; the others in one.
fn some(callers: HashMap<Box<str>, Calls>) -> BTreeMap<Box<str>, Calls> {
    let mut all: Vec<(Box<str>, Calls)> = callers.into_iter().collect();
    all.sort_by(|(one, a), (other, b)| {
        let most = (b.errors, b.requests).cmp(&(a.errors, a.requests));
        most.then_with(|| one.cmp(other))
    });
    let mut told: BTreeMap<Box<str>, Calls> = BTreeMap::new();
    for (caller, calls) in all {
        let name = match told.len() < TOLD {
            true => caller,
            false => OTHERS.into(),
        };
        told.entry(name).or_default().add(calls);
    }
    told
}

/// A caller's name out of a header's value; nothing where it says nothing that can be read.
pub(crate) fn named(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let end = (0..=text.len().min(NAME_MOST))
        .rev()
        .find(|at| text.is_char_boundary(*at))?;
    text.get(..end).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_that_fail_and_call_most_are_told_and_the_others_together() {
        let (callers, endpoint) = (Callers::default(), Arc::from("pay"));
        let mut book = Book::default();
        for caller in 0..30 {
            let name = format!("10.0.0.{caller}");
            for _ in 0..=caller {
                book.count(&endpoint, &name, Outcome::Ok);
            }
        }
        book.count(&endpoint, "10.0.0.0", Outcome::ServerError);
        book.count(&endpoint, "10.0.0.1", Outcome::ClientError);
        callers.add(&mut book);
        book.count(&endpoint, "10.0.0.29", Outcome::TimedOut);
        callers.add(&mut book);
        let told = callers.take();
        assert_eq!(told.len(), TOLD + 1);
        let of = |name: &str| {
            let found = told.iter().find(|((_, caller), _)| &**caller == name);
            found.map(|(_, calls)| (calls.requests, calls.errors))
        };
        assert_eq!(of("10.0.0.0"), Some((2, 1)));
        assert_eq!(of("10.0.0.29"), Some((31, 1)));
        assert_eq!(of("10.0.0.5"), None);
        let sum: u64 = told.iter().map(|(_, calls)| calls.requests).sum();
        assert_eq!(sum, 30 * 31 / 2 + 2);
        assert!(callers.take().is_empty());
    }

    #[test]
    fn no_more_callers_are_counted_than_fit() {
        let (mut book, endpoint) = (Book::default(), Arc::from("pay"));
        for caller in 0..2 * COUNTED {
            book.count(&endpoint, &caller.to_string(), Outcome::Ok);
        }
        let callers = book.0.values().next().unwrap();
        assert_eq!(callers.len(), COUNTED + 1);
        assert_eq!(callers[OTHERS].requests, COUNTED as u64);
    }

    #[test]
    fn a_name_is_cut_where_it_is_too_long_and_left_out_where_it_is_none() {
        assert_eq!(named(b" shop "), Some("shop"));
        assert_eq!(named(b"\xff"), None);
        assert_eq!(named(b"  "), None);
        let long = "ä".repeat(NAME_MOST);
        assert_eq!(named(long.as_bytes()).unwrap().len(), NAME_MOST);
    }
}
