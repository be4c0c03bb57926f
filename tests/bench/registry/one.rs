//! One size in one store: a hub in this process, asked over its socket.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use binnacle_core::address::Address;
use binnacle_core::snapshot;
use binnacle_hub::clock::Clock;
use binnacle_hub::listen::Loopback;
use binnacle_hub::store::{self, StoreUrl};
use binnacle_hub::{Running, Settings};
use binnacle_proto::v1 as proto;
use binnacle_proto::v1::registry_client::RegistryClient;
use serde_json::{Value, json};
use tonic::transport::{Channel, Endpoint};

use super::VERSIONS;
use super::fill::{fill, model};
use crate::hub::own_cpu_us;

/// Questions of one kind.
const ASKED: usize = 50;
/// Rows of a page.
const PAGE: u32 = 50;

/// Which.
#[derive(clap::Args, Debug)]
pub(crate) struct One {
    #[arg(long)]
    models: u32,
    #[arg(long)]
    store: StoreUrl,
    #[arg(long)]
    folder: PathBuf,
    /// The store is there: what a start from its snapshot takes, and what questions cost.
    #[arg(long)]
    filled: bool,
}

pub(crate) fn run(one: &One) -> color_eyre::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let found = match one.filled {
        false => runtime.block_on(begin(one))?,
        true => runtime.block_on(ask(one))?,
    };
    println!("{found}");
    Ok(())
}

async fn begin(one: &One) -> color_eyre::Result<Value> {
    let store = store::open(&one.store).await?;
    fill(&store, one.models).await?;
    store.close().await;
    let versions = f64::from(one.models * VERSIONS);

    let (hub, replayed_s) = start(one).await?;
    let reader = store::open_to_read(&one.store).await?;
    let kept = loop {
        match reader.snapshot().await? {
            Some(kept) => break kept,
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    hub.stop().await;
    let snapshot_bytes = kept.bytes.len() as f64 / versions;
    let state = snapshot::read(&kept.bytes)?;
    drop(kept);
    let began = own_cpu_us();
    let looked = state.registry.models.values();
    let found = looked.flat_map(|model| model.versions.iter());
    let trained = found.filter(|one| one.data_sets.iter().any(|on| on.data_set.number.get() == 7));
    assert!(trained.count() > 0);
    let scan_ms = (own_cpu_us() - began) as f64 / 1e3;
    Ok(json!({
        "models": one.models,
        "replayed_s": replayed_s,
        "snapshot_bytes": snapshot_bytes,
        "scan_ms": scan_ms,
    }))
}

async fn ask(one: &One) -> color_eyre::Result<Value> {
    let versions = f64::from(one.models * VERSIONS);
    let before = resident();
    let (hub, begun_s) = start(one).await?;
    let resident_bytes = (resident().saturating_sub(before)) as f64 / versions;
    let mut client = dial(one).await?;
    let middle = model(one.models / 2);
    let list = |noun: proto::Noun, name: &str, skip| proto::ListRequest {
        noun: noun.into(),
        name: name.into(),
        skip,
        limit: PAGE,
        ..Default::default()
    };
    let (mut models, mut found, mut lineage, mut edits) = (vec![], vec![], vec![], vec![]);
    for round in 0..ASKED as u32 {
        let began = Instant::now();
        client
            .list(list(proto::Noun::Models, "", one.models / 2))
            .await?;
        models.push(began.elapsed());
        let began = Instant::now();
        let asked = list(proto::Noun::Versions, middle.as_str(), 30);
        client.list(asked).await?;
        found.push(began.elapsed());
        let began = Instant::now();
        let object = proto::ObjectName {
            kind: proto::ObjectKind::Model.into(),
            name: format!("{middle}@{}", 1 + round),
        };
        let uses = round % 2 == 1;
        let object = Some(object);
        client
            .lineage(proto::LineageRequest { object, uses })
            .await?;
        lineage.push(began.elapsed());
        let began = Instant::now();
        let document = json!({"owner": "alice", "description": format!("round {round}")});
        let edit = proto::Document {
            name: middle.to_string(),
            document: document.to_string().into(),
        };
        let command = Some(proto::registry_command::Command::EditModel(edit));
        let asked = proto::RegistryCommand {
            command,
            ..Default::default()
        };
        assert!(client.change(asked).await?.into_inner().changed);
        edits.push(began.elapsed());
    }
    hub.stop().await;
    Ok(json!({
        "begun_s": begun_s,
        "resident_bytes": resident_bytes,
        "models_ms": median(models),
        "versions_ms": median(found),
        "lineage_ms": median(lineage),
        "edit_ms": median(edits),
    }))
}

async fn start(one: &One) -> color_eyre::Result<(Running, f64)> {
    let settings = Settings {
        data: one.folder.join("data"),
        store: one.store.clone(),
        artifacts: None,
        listen: vec![Address::Unix(one.folder.join("hub.sock"))],
        loopback: Loopback::Refused,
        sinks: Vec::new(),
        drift: Default::default(),
    };
    let began = Instant::now();
    let hub = binnacle_hub::start(settings, Clock::system()).await?;
    Ok((hub, began.elapsed().as_secs_f64()))
}

async fn dial(one: &One) -> color_eyre::Result<RegistryClient<Channel>> {
    let socket = format!("unix://{}", one.folder.join("hub.sock").display());
    let channel = Endpoint::from_shared(socket)?.connect().await?;
    Ok(RegistryClient::new(channel))
}

fn median(mut took: Vec<Duration>) -> f64 {
    took.sort();
    let middle = took.get(took.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e3
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split_whitespace().nth(1).unwrap();
    pages.parse::<u64>().unwrap() * 4_096
}
