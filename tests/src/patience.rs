//! Waiting for what must come true: often looked at, for a bounded time, never slept through.

use std::time::{Duration, Instant};

/// Between two looks: short against every limit that a test states, long against a system call.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Asks until there is an answer, and returns it. Panics with `what` and the last refusal when
/// `limit` has passed.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if started.elapsed() >= limit => {
                panic!("within {limit:?}: {what}; at last: {seen}")
            }
            Err(_) => std::thread::sleep(BETWEEN_LOOKS),
        }
    }
}

/// Asks until the answer is yes.
#[track_caller]
pub fn eventually_true(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    eventually(what, limit, || {
        if look() { Ok(()) } else { Err("no".to_owned()) }
    });
}
