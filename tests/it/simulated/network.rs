//! The network between a hub and its hosts, and the time on it: simulated, with the hub's own
//! server and the agents' own client on it.

use std::net::Ipv4Addr;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Error};
use turmoil::net::{TcpListener, TcpStream};

use binnacle_agent::uplink::stream;
use binnacle_hub::{Incoming, Line};

/// What the hub is called on it.
pub(super) const HUB: &str = "hub";
/// Where it listens.
const PORT: u16 = 7000;

/// Whoever connects to this host from now on.
pub(super) async fn listen() -> std::io::Result<Incoming> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    let accepted = futures::stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await;
        let line = accepted.map(|(line, _)| Box::new(line) as Box<dyn Line>);
        Some((line, listener))
    });
    Ok(Box::pin(accepted))
}

/// A way to the hub, as an agent dials it.
pub(super) async fn dial() -> Result<Channel, Error> {
    let connect = |_| async { TcpStream::connect((HUB, PORT)).await.map(TokioIo::new) };
    stream::patient(Endpoint::from_static("http://hub"))
        .connect_with_connector(tower::service_fn(connect))
        .await
}

/// What every clock says that nobody has set.
pub(super) fn wall_us() -> i64 {
    let since = turmoil::since_epoch().expect("asked from within the simulation");
    i64::try_from(since.as_micros()).unwrap()
}
