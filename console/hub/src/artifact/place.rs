//! Where blobs lie: in a folder, or in an object store that is configured as its cloud's own
//! tools are, by the environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig};
use url::Url;

/// How often a request to an object store is tried again: more than a hiccup is told to whoever
/// waits, who may try again later.
const RETRIES: usize = 3;
/// How long all tries of one request may take.
const RETRY_WITHIN: Duration = Duration::from_secs(15);
/// The longest wait between two tries.
const RETRY_WAIT: Duration = Duration::from_secs(2);

/// Where artifacts are kept. Written `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactUrl {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket, and where in it.
    Cloud(Url),
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Text that names no place.
    #[error(
        "{0:?} is no place for files: say s3://, gs:// or az:// with a bucket, or file:///PATH"
    )]
    Unknown(String),
    /// Its settings are not enough, or not right.
    #[error("cannot use {url}: check the environment variables of its cloud")]
    Settings {
        /// Which.
        url: String,
        /// Why.
        #[source]
        source: object_store::Error,
    },
}

impl FromStr for ArtifactUrl {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let unknown = || PlaceError::Unknown(text.chars().take(200).collect());
        let url = Url::parse(text).map_err(|_| unknown())?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path().map_err(|()| unknown())?;
                Ok(Self::Folder(path))
            }
            "s3" | "gs" | "az" if url.host_str().is_some_and(|bucket| !bucket.is_empty()) => {
                Ok(Self::Cloud(url))
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for ArtifactUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{}", path.display()),
            Self::Cloud(url) => url.fmt(f),
        }
    }
}

/// An object store, and where in it.
#[derive(Clone)]
pub struct Cloud {
    /// Reads, writes, lists.
    pub store: Arc<dyn ObjectStore>,
    /// Writes in parts that are nothing until they are all there.
    pub parts: Arc<dyn MultipartStore>,
    /// What the URL's path says: an object, or what keys begin with.
    pub path: Path,
    /// What messages call it.
    pub name: String,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Cloud {
    /// The store that a URL names: AWS_…, GOOGLE_… and AZURE_… variables say how to get there.
    pub fn open(url: &Url) -> Result<Self, PlaceError> {
        let name = url.to_string();
        let settings = |source| PlaceError::Settings {
            url: name.clone(),
            source,
        };
        let retry = RetryConfig {
            backoff: BackoffConfig {
                max_backoff: RETRY_WAIT,
                ..BackoffConfig::default()
            },
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
        };
        let path = Path::from_url_path(url.path())
            .map_err(|error| settings(object_store::Error::InvalidPath { source: error }))?;
        match url.scheme() {
            "s3" => {
                let builder = AmazonS3Builder::from_env().with_url(url.as_str());
                let built = builder.with_retry(retry).build().map_err(settings)?;
                Ok(Self::of(built, path, name))
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url.as_str());
                let built = builder.with_retry(retry).build().map_err(settings)?;
                Ok(Self::of(built, path, name))
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url.as_str());
                let built = builder.with_retry(retry).build().map_err(settings)?;
                Ok(Self::of(built, path, name))
            }
            _ => Err(PlaceError::Unknown(name)),
        }
    }

    /// A store that is open already.
    pub fn of<S: ObjectStore + MultipartStore>(store: S, path: Path, name: String) -> Self {
        let store = Arc::new(store);
        Self {
            parts: store.clone(),
            store,
            path,
            name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_or_a_folder() {
        for good in [
            "s3://models/prod",
            "gs://models",
            "az://models/a/b",
            "file:///srv/a",
        ] {
            assert_eq!(good.parse::<ArtifactUrl>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "/srv/a",
            "s3://",
            "s3:///a",
            "https://h/a",
            "file://host/a",
            "ftp://b",
        ] {
            assert!(bad.parse::<ArtifactUrl>().is_err(), "{bad:?}");
        }
    }
}
