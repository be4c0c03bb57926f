//! The agent's request path as a process of its own: histograms on, windows sealed each
//! second and thrown away; the tap, an endpoint and its inputs on or off.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use binnacle_agent::{
    artifact::Digest,
    inputs::{self, Against, Inputs, Subject, Wanted},
    proxy::{
        Known, Proxy, Settings, bind,
        mirror::Mirror,
        routes::{Placed, Plan, Route, Routes, WHOLE},
        tap::Tap,
    },
};
use binnacle_sketch::profile::{Column, Field, Gather, Kind, Profile, Ties};

/// What applications call.
pub(crate) const ENDPOINT: &str = "scan";
/// Columns of a row: a kilobyte of JSON.
pub(crate) const COLUMNS: usize = 140;
/// Of these, those that are held against a reference.
const WATCHED: usize = 100;
/// What counting inputs may take of a core, in percent: the agent's own default.
const PERCENT: u8 = 2;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: String,
    #[arg(long)]
    grpc_upstream: String,
    /// Copy every n-th body to a reader that throws it away.
    #[arg(long)]
    tap_every: Option<NonZeroU32>,
    /// Route an endpoint.
    #[arg(long)]
    routed: bool,
    /// Hold its inputs against a reference.
    #[arg(long, requires = "routed")]
    inputs: bool,
}

pub(crate) fn run(options: &Options) -> color_eyre::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listeners = bind(options.listen, NonZeroUsize::MIN)?;
        let mut settings = Settings::new(listeners, options.upstream.parse()?);
        settings.grpc_upstream = options.grpc_upstream.parse()?;
        if let Some(every) = options.tap_every {
            let (tap, mut bodies) = Tap::new(every);
            settings.tap = Some(tap);
            tokio::spawn(async move { while bodies.recv().await.is_some() {} });
        }
        let (inputs, items) = Inputs::new(1);
        if options.routed {
            settings.routes.replace([Route::new(&plan())?]);
            let (mirror, mut copies) = Mirror::new(Some(inputs.queue()));
            settings.mirror = Some(mirror);
            settings.callers = Some(Default::default());
            tokio::spawn(async move { while copies.recv().await.is_some() {} });
        }
        if options.inputs {
            inputs::start(&inputs, items, PERCENT)?;
            watch(&inputs, &settings.routes);
        }
        let callers = settings.callers.clone();
        let known = Known::default();
        known.replace([("fraud".into(), "7".into())]);
        let proxy = Proxy::start(settings, known)?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            proxy.seal().await;
            inputs.take(1_000);
            callers.as_ref().map(|callers| callers.take());
        }
    })
}

/// All requests for the endpoint lead to one version.
fn plan() -> Plan {
    let placed = Placed {
        model: "fraud".into(),
        version: "7".into(),
        upstream_model: "fraud".into(),
        upstream_version: "7".into(),
    };
    Plan {
        endpoint: ENDPOINT.into(),
        weights: vec![(placed, WHOLE)],
        pins: Vec::new(),
        sticky: None,
        seed: 1,
        shadows: Vec::new(),
        keeps: false,
    }
}

fn watch(inputs: &Inputs, routes: &Routes) {
    let features: Vec<Arc<str>> = (0..COLUMNS).map(|at| format!("f{at}").into()).collect();
    let meters = inputs.watch(vec![Wanted {
        subject: Subject {
            endpoint: ENDPOINT.into(),
            model: "fraud".into(),
            version: "7".into(),
        },
        against: Against {
            inputs: Some(Digest([7; 32])),
            outputs: None,
        },
        inputs: Some((Arc::new(reference()), features.into())),
        outputs: None,
    }]);
    routes.watch(meters);
}

/// A reference of some of the columns.
fn reference() -> Profile {
    let fields = (0..WATCHED).map(|at| Field {
        name: format!("f{at}"),
        kind: Kind::Number,
    });
    let rows = 5_000;
    let column = |at: usize| {
        let ties = Ties::new(at as u64, "reference");
        (0..rows).map(|row| ties.at(row)).collect::<Vec<f64>>()
    };
    let all: Vec<Vec<f64>> = (0..WATCHED).map(column).collect();
    let columns = all
        .iter()
        .map(|values| Column::Numbers { values, nulls: 0 });
    let columns: Vec<Column<'_>> = columns.collect();
    let mut gather = Gather::new(1, fields.collect()).expect("it has few columns");
    gather.block(rows as usize, &columns, None);
    gather.finish()
}
