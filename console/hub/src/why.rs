//! Why an endpoint is as it is: what core makes of the state and of the journal's last entries
//! about it, which are read here. The same for consoles, for scripts and for letters.

use binnacle_core::alert::Alert;
use binnacle_core::endpoint::Endpoint;
use binnacle_core::journal::Entry;
use binnacle_core::view::WhyItem;
use binnacle_core::why::{ENTRIES, why};

use crate::engine::Published;
use crate::store::{SharedStore, StoreError};

/// Whoever asks why.
pub(crate) struct Asker<'a> {
    pub(crate) published: &'a Published,
    pub(crate) store: &'a SharedStore,
    pub(crate) now_us: i64,
}

impl Asker<'_> {
    /// Why an endpoint is as it is, or an alert of it.
    pub(crate) async fn why(
        &self,
        endpoint: &Endpoint,
        alert: Option<&Alert>,
    ) -> Result<WhyItem, StoreError> {
        // Those before the alert are what is looked for; what came since stands in the state.
        let until = alert.map_or(u64::MAX, |alert| alert.number);
        let history = endpoint.history.iter().rev();
        let places = history.copied().filter(|place| *place <= until);
        let stored = self
            .store
            .entries_at(places.take(ENTRIES).collect())
            .await?;
        let read = |stored: &binnacle_core::journal::Stored| {
            // What cannot be read is told by whoever verifies the journal.
            Entry::from_body(stored.sequence, &stored.body).ok()
        };
        let entries: Vec<Entry> = stored.iter().filter_map(read).collect();
        let (state, observed) = (&self.published.state, &self.published.observed);
        Ok(why(
            (state, observed),
            endpoint,
            alert,
            &entries,
            self.now_us,
        ))
    }
}
