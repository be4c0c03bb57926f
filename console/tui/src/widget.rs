//! Parts of screens that know nothing of hubs and models: each draws data into a rectangle, at
//! any size, and nothing beside.

pub mod line;
pub mod sparkline;
pub mod table;

mod axis;
#[cfg(test)]
mod canvas;
mod pen;
