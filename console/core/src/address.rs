//! Where a hub is reached: a unix socket, or a loopback address.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a hub listens, or is dialled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// A unix socket; the caller is known by the kernel's word.
    Unix(PathBuf),
    /// An address and port, without identities: loopback only.
    Loopback(SocketAddr),
}

/// Why a text is no address of a hub.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAnAddress {
    /// Neither form.
    #[error("{0:?} is no address: say unix:PATH or ADDR:PORT, as in unix:/run/binnacle/hub.sock")]
    Malformed(String),
    /// An address that other machines reach.
    #[error(
        "{0} can be reached from other machines, and callers have no identities yet: \
         use unix:PATH, or a loopback address with --insecure-loopback"
    )]
    NotLoopback(SocketAddr),
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` is how other programs write the same thing.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err(NotAnAddress::Malformed(text.into())),
                false => Ok(Self::Unix(path.into())),
            };
        }
        let malformed = |_| NotAnAddress::Malformed(text.into());
        let address: SocketAddr = text
            .replace("localhost:", "127.0.0.1:")
            .parse()
            .map_err(malformed)?;
        match address.ip().is_loopback() {
            true => Ok(Self::Loopback(address)),
            false => Err(NotAnAddress::NotLoopback(address)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Loopback(address) => write!(f, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_unix_socket_or_loopback() {
        let told = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(told("unix:/run/a.sock").unwrap(), "unix:/run/a.sock");
        assert_eq!(told("unix:///run/a.sock").unwrap(), "unix:/run/a.sock");
        assert_eq!(told("localhost:7000").unwrap(), "127.0.0.1:7000");
        assert_eq!(told("[::1]:7000").unwrap(), "[::1]:7000");
        let public = told("10.0.0.1:7000").unwrap_err();
        assert!(matches!(public, NotAnAddress::NotLoopback(_)), "{public}");
        for text in ["", "unix:", "7000", "host:7000"] {
            assert!(
                matches!(told(text), Err(NotAnAddress::Malformed(_))),
                "{text}"
            );
        }
    }
}
