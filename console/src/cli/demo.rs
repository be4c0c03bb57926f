//! `binnacle demo`: being written.
use crate::outcome::{Exit, Failure};
#[derive(clap::Args, Debug)]
pub(crate) struct Ask {}
#[derive(clap::Args, Debug)]
pub(crate) struct Reaper {}
impl Ask {
    pub(crate) async fn run(self, _global: &super::Global) -> Result<Exit, Failure> {
        Ok(Exit::Failed)
    }
}
impl Reaper {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        Ok(Exit::Failed)
    }
}
