//! The agent's request path as a process of its own: histograms on, windows sealed each
//! second and thrown away, the tap on or off.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use binnacle_agent::proxy::{Known, Proxy, Settings, bind, tap::Tap};

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
        let known = Known::default();
        known.replace([("fraud".into(), "7".into())]);
        let proxy = Proxy::start(settings, known)?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            proxy.seal().await;
        }
    })
}
