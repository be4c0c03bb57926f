//! What a database's refusal means, whichever database it is; and its numbers, which are signed.

use sqlx::postgres::PgDatabaseError;

use super::StoreError;

/// What the database's refusal means.
pub(super) fn at(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match meaning(&source) {
        Meaning::Full => StoreError::Full { operation, source },
        Meaning::Corrupt => StoreError::Corrupt { operation, source },
        Meaning::Conflict => StoreError::Conflict { operation },
        Meaning::Away => StoreError::Away { operation, source },
        Meaning::Other => StoreError::Refused { operation, source },
    }
}

/// What it means when a commit is not answered with yes: where the database said no, nothing
/// was written; where it said nothing, nobody knows.
pub(super) fn at_commit(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match meaning(&source) {
        Meaning::Full | Meaning::Conflict => at(operation)(source),
        Meaning::Corrupt | Meaning::Away | Meaning::Other => {
            StoreError::Unsure { operation, source }
        }
    }
}

/// A row that holds what no release writes.
pub(super) fn nonsense(operation: &'static str, what: impl Into<String>) -> StoreError {
    let what = what.into();
    StoreError::Nonsense { operation, what }
}

/// Counts live in signed columns, as SQL has no others; none comes near 2^63.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

enum Meaning {
    Full,
    Corrupt,
    Conflict,
    Away,
    Other,
}

fn meaning(error: &sqlx::Error) -> Meaning {
    if matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) {
        return Meaning::Away;
    }
    let Some(refusal) = error.as_database_error() else {
        return Meaning::Other;
    };
    let code = refusal.code().unwrap_or_default();
    match refusal.try_downcast_ref::<PgDatabaseError>() {
        Some(_) => of_postgres(&code),
        None => of_sqlite(&code),
    }
}

/// PostgreSQL says what is wrong in five characters, of which the first two are the class.
fn of_postgres(code: &str) -> Meaning {
    match code {
        "53100" => Meaning::Full,
        _ if code.starts_with("23") || code.starts_with("40") => Meaning::Conflict,
        "XX001" | "XX002" => Meaning::Corrupt,
        // Shutting down, starting up, or no connection left.
        _ if code.starts_with("57P") || code.starts_with("08") || code == "53300" => Meaning::Away,
        _ => Meaning::Other,
    }
}

/// SQLite's result code, of which the upper bytes say more.
fn of_sqlite(code: &str) -> Meaning {
    const CORRUPT: u32 = 11;
    const FULL: u32 = 13;
    const CONSTRAINT: u32 = 19;
    const NOT_A_DATABASE: u32 = 26;

    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(FULL) => Meaning::Full,
        Ok(CORRUPT | NOT_A_DATABASE) => Meaning::Corrupt,
        Ok(CONSTRAINT) => Meaning::Conflict,
        Ok(_) | Err(_) => Meaning::Other,
    }
}
