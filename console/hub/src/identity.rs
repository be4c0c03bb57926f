//! Who calls: the kernel's word on a unix socket, nobody's word on loopback.

use binnacle_core::caller::Caller;
use nix::unistd::{Uid, User};
use tonic::Request;

use crate::listen::Peer;

/// Who made this call.
pub(crate) fn caller<T>(request: &Request<T>) -> Caller {
    let unverified = Caller::Unverified {
        claimed: String::new(),
    };
    match request.extensions().get::<Peer>() {
        None | Some(Peer::Loopback) => unverified,
        Some(Peer::Unix(connection)) => match connection.peer_cred {
            Some(cred) => {
                let uid = cred.uid();
                // A user without a name, or a directory that does not answer, has an id.
                let named = User::from_uid(Uid::from_raw(uid)).ok().flatten();
                let user = named.map_or_else(|| format!("uid {uid}"), |user| user.name);
                Caller::Local { uid, user }
            }
            None => unverified,
        },
    }
}
