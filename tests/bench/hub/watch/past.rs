//! A past for the fleet: what a hub has on its disk that has run for longer than its memory
//! reaches, so that a question that reaches back finds as much there.

use std::path::Path;
use std::sync::Arc;

use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_hub::store::{self, Rollup, RollupBatch, Span, StoreUrl};
use binnacle_sketch::Latency;

use super::now_us;

/// How far back it reaches: more than the screens ask for.
const SPANS: i64 = 45 * 6;
/// Requests of a model in ten seconds.
const REQUESTS: u64 = 1_000;

/// Writes it into the hub's folder.
pub(super) fn write(data: &Path, models: usize) -> color_eyre::Result<()> {
    std::fs::create_dir_all(data)?;
    let url = StoreUrl::Sqlite(data.join("hub.db"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = store::open(&url).await?;
        let end_us = Span::TenSeconds.start_of(now_us());
        for nth in 0..SPANS {
            let start_us = end_us - (SPANS - nth) * Span::TenSeconds.us();
            let rollup = |model| Rollup {
                start_us,
                span: Span::TenSeconds,
                window: window(model, nth),
            };
            let batch = RollupBatch {
                flush: nth as u64 + 1,
                writer: [7; 16],
                rollups: (0..models).map(rollup).collect(),
                watermarks: Vec::new(),
                minutes: Vec::new(),
            };
            store.flush(Arc::new(batch)).await?;
        }
        store.close().await;
        Ok(())
    })
}

/// Requests around some milliseconds.
fn window(model: usize, nth: i64) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    for request in 0..REQUESTS {
        let spread = (model as u64 * 97 + nth as u64 * 13 + request * 31) % 1_000;
        latency.record(2_000_000 + spread * spread * 20);
    }
    SeriesWindow {
        key: SeriesKey {
            endpoint: "".into(),
            model: format!("model-{model:02}").into(),
            version: "1".into(),
            outcome: Outcome::Ok,
        },
        latency: latency.encode(),
        request_bytes: 700 * REQUESTS,
        response_bytes: 170 * REQUESTS,
    }
}
