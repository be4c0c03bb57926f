//! Parts of screens: each draws into any area, even an empty one, builds only what is visible,
//! and draws nothing beside.

pub mod chart;
pub mod form;
pub mod grid;
pub mod heatmap;
pub mod histogram;
pub mod line;
pub mod page;
pub mod paged;
pub mod sparkline;
pub mod table;

pub(crate) mod axis;
#[cfg(test)]
mod canvas;
mod pen;

pub(crate) use self::axis::hh_mm;
