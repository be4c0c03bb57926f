//! Files that lie elsewhere and are only pointed at: read to their end, and compared with the
//! digest that was recorded. Nothing of them is kept, and no byte of them is told.

use std::path::Path;
use std::time::Duration;

use binnacle_core::registry::Digest;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::MAX_BLOB;
use super::place::Cloud;

/// How long a server may take to be connected to.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may send nothing.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How often a server may send one on: public stores send once, from the name to the place.
const REDIRECTS: usize = 5;
/// Bytes read at once of a file.
const CHUNK: u64 = 1 << 20;

/// What was found there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// So many bytes, and they have the digest.
    Whole(u64),
    /// Other bytes than were recorded.
    Damaged(String),
    /// Nothing is known of the bytes: why.
    Unreachable(String),
}

type Parts = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// Reads what lies at `location`, which should have this digest and, where that was said, so many
/// bytes.
pub(crate) async fn check(location: &str, expected: Digest, said: u64) -> Checked {
    let mut parts = match open(location).await {
        Ok(parts) => parts,
        Err(why) => return Checked::Unreachable(why),
    };
    let most = if said == 0 { MAX_BLOB } else { said };
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    loop {
        match parts.next().await {
            None => break,
            Some(Err(why)) => return Checked::Unreachable(why),
            Some(Ok(part)) => {
                bytes += part.len() as u64;
                if bytes > most {
                    return Checked::Damaged(format!("it has more than {most} bytes"));
                }
                hash.update(&part);
            }
        }
    }
    if said != 0 && bytes != said {
        return Checked::Damaged(format!("it has {bytes} bytes, and {said} were registered"));
    }
    match Digest(hash.finalize().into()) == expected {
        true => Checked::Whole(bytes),
        false => Checked::Damaged("its bytes do not have the SHA-256 that was registered".into()),
    }
}

async fn open(location: &str) -> Result<Parts, String> {
    let url = Url::parse(location).map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => web(url).await,
        "file" => {
            let path = url.to_file_path();
            let path = path.map_err(|()| "it is no path of this machine".to_owned())?;
            file(&path).await
        }
        _ => object(&url).await,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    crate::engine::chain(error)
}

async fn web(url: Url) -> Result<Parts, String> {
    let client = reqwest::Client::builder()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENT_FOR)
        .build()
        .map_err(|error| chain(&error))?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| chain(&error.without_url()))?;
    if !answer.status().is_success() {
        return Err(format!("its server answers {}", answer.status()));
    }
    let parts = answer.bytes_stream();
    Ok(Box::pin(parts.map_err(|error| chain(&error.without_url()))))
}

async fn file(path: &Path) -> Result<Parts, String> {
    let open = async {
        // Before it is opened: a pipe would wait for its writer.
        let known = tokio::fs::metadata(path).await?;
        if !known.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        File::open(path).await
    };
    let file = open.await.map_err(|error| error.to_string())?;
    Ok(Box::pin(futures::stream::try_unfold(
        file,
        |mut file| async move {
            let mut part = Vec::new();
            let mut taken = (&mut file).take(CHUNK);
            let read = taken.read_to_end(&mut part).await;
            read.map_err(|error| error.to_string())?;
            Ok((!part.is_empty()).then(|| (Bytes::from(part), file)))
        },
    )))
}

async fn object(url: &Url) -> Result<Parts, String> {
    let cloud = Cloud::open(url).map_err(|error| chain(&error))?;
    let got = cloud.store.get(&cloud.path).await;
    let parts = got.map_err(|error| chain(&error))?.into_stream();
    Ok(Box::pin(parts.map_err(|error| chain(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_gone_is_out_of_reach_and_what_is_other_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let at = format!("file://{}", path.display());
        let expected = Digest(Sha256::digest(b"a model").into());
        let gone = check(&at, expected, 7).await;
        assert!(matches!(gone, Checked::Unreachable(_)), "{gone:?}");
        std::fs::write(&path, b"a model").unwrap();
        assert_eq!(check(&at, expected, 7).await, Checked::Whole(7));
        assert_eq!(check(&at, expected, 0).await, Checked::Whole(7));
        for (bytes, said) in [(&b"a modem"[..], 7), (b"a mode", 7), (b"a model!", 7)] {
            std::fs::write(&path, bytes).unwrap();
            let found = check(&at, expected, said).await;
            assert!(matches!(found, Checked::Damaged(_)), "{found:?}");
        }
        let folder = check(&format!("file://{}", folder.path().display()), expected, 7).await;
        assert!(matches!(folder, Checked::Unreachable(_)), "{folder:?}");
        let device = check("file:///dev/zero", expected, 0).await;
        assert!(matches!(device, Checked::Unreachable(_)), "{device:?}");
    }
}
