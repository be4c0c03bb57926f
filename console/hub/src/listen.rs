//! Where the hub listens: unix sockets, loopback where that was asked for, and whatever else hands
//! it connections.
//!
//! A socket that a killed hub left behind is replaced; one that answers is another hub's, and
//! is left alone. A unix socket is for its owner and group: whoever may connect may change
//! the fleet.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use binnacle_core::address::Address;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::transport::server::{Connected, UdsConnectInfo};

/// Whether loopback addresses may be listened on: nobody who calls there is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// They are refused.
    Refused,
    /// They are allowed, in the knowledge that callers are unverified.
    Insecure,
}

/// Why the hub does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Loopback was not asked for.
    #[error(
        "{0} is open to every process on this machine, and callers have no identities yet: \
         add --insecure-loopback if that is meant, or listen on unix:PATH"
    )]
    Insecure(Address),
    /// Another hub answers there.
    #[error("another hub answers on unix:{0}: stop it first, or listen elsewhere")]
    Taken(PathBuf),
    /// The system refuses.
    #[error("cannot listen on {address}")]
    Refused {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What bytes can be read from and written to.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// Connections that something else has accepted, of a network that is simulated say. Who calls is
/// not known.
pub type Incoming = Pin<Box<dyn Stream<Item = io::Result<Box<dyn Line>>> + Send>>;

/// A listener, open.
pub(crate) enum Listener {
    Unix(UnixListener, PathBuf),
    Loopback(TcpListener),
    Given(Incoming),
}

/// A connection of any kind.
pub(crate) enum Connection {
    Unix(UnixStream),
    Loopback(TcpStream),
    Given(Box<dyn Line>),
}

/// What is known of the other end.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// The kernel's word for who it is.
    Unix(UdsConnectInfo),
    /// Somebody on this machine, or whom nobody knows.
    Loopback,
}

impl Listener {
    pub(crate) async fn open(address: &Address, loopback: Loopback) -> Result<Self, ListenError> {
        let refused = |source| ListenError::Refused {
            address: address.clone(),
            source,
        };
        match address {
            Address::Loopback(_) if loopback == Loopback::Refused => {
                Err(ListenError::Insecure(address.clone()))
            }
            Address::Loopback(at) => Ok(Self::Loopback(
                TcpListener::bind(at).await.map_err(refused)?,
            )),
            Address::Unix(path) => {
                clear(path).await?;
                let listener = UnixListener::bind(path).map_err(refused)?;
                let mode = std::fs::Permissions::from_mode(0o660);
                std::fs::set_permissions(path, mode).map_err(refused)?;
                Ok(Self::Unix(listener, path.clone()))
            }
        }
    }

    /// Where it really listens: the port is chosen by now. Connections that are handed over have
    /// no address of the hub's.
    pub(crate) fn address(&self) -> io::Result<Option<Address>> {
        match self {
            Self::Unix(_, path) => Ok(Some(Address::Unix(path.clone()))),
            Self::Loopback(listener) => Ok(Some(Address::Loopback(listener.local_addr()?))),
            Self::Given(_) => Ok(None),
        }
    }
}

/// Removes a socket that nobody answers on.
async fn clear(path: &Path) -> Result<(), ListenError> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(ListenError::Taken(path.into()));
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|source| ListenError::Refused {
            address: Address::Unix(path.into()),
            source,
        })?;
    }
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ListenError::Refused {
            address: Address::Unix(path.into()),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // The next hub replaces it if this fails.
            let _stays = std::fs::remove_file(path);
        }
    }
}

impl Stream for Listener {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = match self.get_mut() {
            Self::Unix(listener, _) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Connection::Unix(stream)),
            Self::Loopback(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                // A report is one small message: waiting to fill a packet only delays it.
                let _slower = stream.set_nodelay(true);
                Connection::Loopback(stream)
            }),
            Self::Given(incoming) => {
                let next = incoming.as_mut().poll_next(cx);
                return next.map(|line| line.map(|line| line.map(Connection::Given)));
            }
        };
        accepted.map(Some)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Unix(stream) => Peer::Unix(stream.connect_info()),
            Self::Loopback(_) | Self::Given(_) => Peer::Loopback,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Loopback(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Given(line) => Pin::new(line).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Loopback(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Given(line) => Pin::new(line).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Loopback(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Given(line) => Pin::new(line).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Loopback(_) => true,
            Self::Given(line) => line.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Loopback(stream) => Pin::new(stream).poll_flush(cx),
            Self::Given(line) => Pin::new(line).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Loopback(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Given(line) => Pin::new(line).poll_shutdown(cx),
        }
    }
}
