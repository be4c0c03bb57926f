//! The benches: what `tests/bench/run` runs. Each measures beside its peers in the same run,
//! and rewrites its section of docs/benchmarks.md, or for drift of docs/drift-benchmarks.md.
#![allow(missing_docs, clippy::disallowed_methods)] // a bench reads the clock

mod data;
mod drift;
mod hub;
mod loading;
mod proxy;
mod registry;
mod section;

use clap::Parser;

#[derive(Parser)]
#[command(name = "bench", about = "Measure Binnacle beside its peers")]
enum Bench {
    /// Reading data sets, and counting live values against their profiles.
    Data(data::Options),
    /// One file of it, in a process started by the bench itself.
    #[command(hide = true)]
    DataOne(data::One),
    /// The drift detector: false alarms against the bound, delays, cost.
    Drift(drift::Options),
    /// The hub under swarms of synthetic agents.
    Hub(hub::Options),
    /// One process of such a swarm, started by the bench itself.
    #[command(hide = true)]
    HubSwarm(hub::swarm::Options),
    /// What those who are served notice of a version being loaded beside them.
    Loading(loading::Options),
    /// The agent's request path beside nginx and haproxy.
    Proxy(proxy::Options),
    /// The registry at scale, in each store.
    Registry(registry::Options),
    /// One size of it, in a process started by the bench itself.
    #[command(hide = true)]
    RegistryOne(registry::One),
    /// The server behind the proxies, started by the bench itself.
    #[command(hide = true)]
    Upstream(proxy::upstream::Options),
    /// The agent's request path alone, started by the bench itself.
    #[command(hide = true)]
    Serve(proxy::serve::Options),
}

fn main() -> color_eyre::Result<()> {
    color_eyre::install()?;
    match Bench::parse() {
        Bench::Data(options) => data::run(&options),
        Bench::DataOne(one) => data::read_one(&one),
        Bench::Drift(options) => drift::run(&options),
        Bench::Hub(options) => hub::run(&options),
        Bench::HubSwarm(options) => hub::swarm::run(options),
        Bench::Loading(options) => loading::run(&options),
        Bench::Proxy(options) => proxy::run(&options),
        Bench::Registry(options) => registry::run(&options),
        Bench::RegistryOne(one) => registry::run_one(&one),
        Bench::Upstream(options) => proxy::upstream::run(&options),
        Bench::Serve(options) => proxy::serve::run(&options),
    }
}
