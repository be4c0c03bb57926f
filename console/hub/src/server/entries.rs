//! The journal, page by page in either direction; and what of it is about one host.

use binnacle_core::journal::{Entry, Stored};
use binnacle_core::name::Name;

use crate::store::{SharedStore, StoreError};

/// Entries looked through at once for those about one host: some milliseconds.
const CHUNK: u32 = 2_048;

/// Where somebody is in the journal.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) store: SharedStore,
    pub(crate) is_newest_first: bool,
    /// The sequence after which it goes on, or before which; 0 for either end.
    pub(crate) at: u64,
}

impl Pages {
    /// The next entries, at most `limit`; none at the end.
    pub(crate) async fn next(&mut self, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let page = match self.is_newest_first {
            // Before the first there is nothing, and 0 would be the head again.
            true if self.at == 1 => Vec::new(),
            true => self.store.entries_before(self.at, limit).await?,
            false => self.store.entries(self.at, limit).await?,
        };
        if let Some(last) = page.last() {
            self.at = last.sequence;
        }
        Ok(page)
    }

    /// The next entries about a host, at most `limit`: the journal is looked through for them.
    pub(crate) async fn about(
        &mut self,
        host: &Name,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        while found.len() < limit {
            let page = self.next(CHUNK).await?;
            if page.is_empty() {
                break;
            }
            let rest = limit - found.len();
            found.extend(
                page.into_iter()
                    .filter(|stored| is_about(stored, host))
                    .take(rest),
            );
        }
        Ok(found)
    }
}

fn is_about(stored: &Stored, host: &Name) -> bool {
    // Most entries do not have the name in them, and need not be read.
    let has_name = std::str::from_utf8(&stored.body).is_ok_and(|body| body.contains(host.as_str()));
    has_name
        && Entry::from_body(stored.sequence, &stored.body)
            .is_ok_and(|entry| entry.change.host() == Some(host))
}

#[cfg(test)]
mod tests {
    use binnacle_core::caller::Caller;
    use binnacle_core::journal::{Change, ORIGIN};

    use super::*;
    use crate::store::StoreUrl;

    #[tokio::test]
    async fn entries_about_one_host_are_found_in_either_direction() {
        let store = crate::store::open(&StoreUrl::Memory).await.unwrap();
        let name = |text: &str| Name::parse(text).unwrap();
        let mut hash = ORIGIN;
        let entry = |sequence: u64| {
            let host = if sequence.is_multiple_of(1_000) {
                "infer-1"
            } else {
                "infer-10"
            };
            let entry = Entry {
                sequence,
                at_us: 0,
                caller: Caller::Hub,
                why: "infer-1".into(),
                key: None,
                change: Change::HostReadmitted { host: name(host) },
            };
            let stored = entry.seal(&hash);
            hash = stored.hash;
            stored
        };
        store
            .append((1..=5_000).map(entry).collect())
            .await
            .unwrap();
        for (is_newest_first, at, limit, expected) in [
            (false, 0, 9, vec![1_000, 2_000, 3_000, 4_000, 5_000]),
            (false, 2_000, 2, vec![3_000, 4_000]),
            (true, 0, 2, vec![5_000, 4_000]),
            (true, 3_000, 9, vec![2_000, 1_000]),
            (true, 1, 9, vec![]),
        ] {
            let store = store.clone();
            let mut pages = Pages {
                store,
                is_newest_first,
                at,
            };
            let found = pages.about(&name("infer-1"), limit).await.unwrap();
            let found: Vec<u64> = found.iter().map(|stored| stored.sequence).collect();
            assert_eq!(found, expected);
        }
    }
}
