//! Whether the inputs of a model have moved away from their reference, and how that is known.
//!
//! What is promised is a budget: at most so many false pages a day over all models, features and
//! looks together. A *stream* is one feature of one model, or one of its two-valued signals
//! (missing, unseen, out of range). For each tick with observations two *gates* weigh a table of
//! *experts* (alternatives such as "shifted by 0.4 σ") against nothing having changed:
//!
//! - gate A is exact for a finite reference, whatever its size ([`Stream`]);
//! - gate B asks whether the shares of the bins have left a box of practical tolerance
//!   ([`Tolerance`]).
//!
//! Evidence is summed over all moments at which a change may have begun (Shiryaev and Roberts),
//! averaged over the experts, and has to pass a threshold that follows from the budget
//! ([`Budget`]) in both gates. [`Watch`] holds the streams of one model together. The proof, and
//! what it does not cover, is in docs/drift.md.
//!
//! Everything is a function of what was counted: no clock, no randomness without a seed.

mod accuse;
mod baseline;
mod beside;
mod budget;
mod episode;
mod experts;
mod explain;
mod guard;
mod judge;
#[cfg(test)]
mod laws;
mod neyman;
mod proof;
mod recent;
mod replay;
mod share;
mod signal;
mod special;
mod spread;
mod stream;
mod tolerance;
mod unit;
mod watch;
mod words;

pub use accuse::{Accused, accuse};
pub use baseline::Baseline;
pub use beside::{Beside, Differs, Seen, Side};
pub use budget::{Budget, TICKS_A_DAY};
pub use episode::{Acknowledged, Effect, Episode, Event, Open};
pub use experts::{Experts, MAX_EXPERTS, Shape};
pub use explain::{Explanation, Lately, explain, moved, named};
pub use guard::{
    Beyond, Course, Guard, MOMENTS, NotKept, Page, Row, StreamStands, Totals, Turn, Window,
    Yardstick, key, place,
};
pub use judge::{Judged, Judgement, LEVEL, judge};
pub use neyman::{Apart, DEGREES, LEAST_REFERENCE, LOOKS, between, on_arrival, scores};
pub use proof::{Provable, Prover, Standing};
pub use replay::{Replayed, replay};
pub use share::Share;
pub use signal::{Held, Normal, Signal};
pub use spread::Spread;
pub use stream::{Evidence, Impossible, Null, Stream};
pub use tolerance::{Bounds, TOLERANCE, Tolerance};
pub use unit::{Change, unit};
pub use watch::{
    Moved, NotOurs, Outcome, Received, Report, SOURCES, Source, State, Verdict, Watch,
};
