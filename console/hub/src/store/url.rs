//! Where a store is, in text: with whatever secret is in it kept out of every sight.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::StoreError;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// Nowhere: gone with the process.
    Memory,
    /// A file.
    Sqlite(PathBuf),
    /// A database of a PostgreSQL server.
    Postgres(PostgresUrl),
}

/// A database of a PostgreSQL server. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// What to connect with. What the URL does not say is taken from `PGPASSWORD`, `PGSSLMODE`,
    /// … and from `~/.pgpass`, as `psql` does it.
    pub(super) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let unreadable = |error: sqlx::Error| StoreError::PostgresUrl(error.into());
        self.0.parse().map_err(unreadable)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = self.options() else {
            return f.write_str("postgres://…");
        };
        let (user, port) = (options.get_username(), options.get_port());
        let database = options.get_database().unwrap_or(user);
        match options.get_socket() {
            Some(socket) => {
                let socket = socket.display();
                write!(
                    f,
                    "postgres:///{database}?user={user}&host={socket}&port={port}"
                )?;
            }
            None => {
                let host = options.get_host();
                write!(f, "postgres://{user}@{host}:{port}/{database}")?;
            }
        }
        match options.get_ssl_mode() {
            PgSslMode::VerifyFull => f.write_str("?sslmode=verify-full"),
            PgSslMode::VerifyCa => f.write_str("?sslmode=verify-ca"),
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer | PgSslMode::Require => {
                Ok(())
            }
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    /// A URL of PostgreSQL is read when it is opened: whoever refuses an argument repeats it, and
    /// this one may hold a password.
    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        match text.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(PostgresUrl(text.into()))),
            Some(_) | None => Err(StoreError::Url(text.into())),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_url_names_one_store_or_is_refused_with_what_to_say() {
        for text in [
            "memory:",
            "sqlite:///var/lib/binnacle/hub.db",
            "sqlite://hub.db",
            "postgres://hub@db.example:5433/binnacle",
            "postgres://hub@db.example:5433/binnacle?sslmode=verify-full",
            "postgres:///binnacle?user=hub&host=/run/postgresql&port=5432",
        ] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        for text in ["", "sqlite:", "sqlite://", "mysql://h/d", "memory"] {
            let refusal = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(refusal.contains("say sqlite://PATH"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_password_is_shown_nowhere() {
        for text in [
            "postgres://hub:s3cret@127.0.0.1:1/binnacle",
            "postgresql://hub@127.0.0.1:1/binnacle?password=s3cret",
            "postgres://hub:s3cret@127.0.0.1:port/binnacle",
            "postgres://hub:s3cret@127.0.0.1:1/binnacle?sslmode=perhaps",
        ] {
            let url: StoreUrl = text.parse().unwrap();
            let refusal = super::super::open(&url).await.unwrap_err();
            let chain = crate::engine::chain(&refusal);
            for shown in [url.to_string(), format!("{url:?} {refusal:?}"), chain] {
                assert!(!shown.contains("s3cret"), "{shown}");
            }
        }
    }
}
