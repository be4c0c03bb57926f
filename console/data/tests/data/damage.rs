//! Damaged files: whatever bytes are missing or changed, reading ends with an answer.

use parquet::basic::{Compression, ZstdLevel};
use proptest::prelude::*;

use super::files::{Folder, Rows, gzip, zstd};

/// The same rows in each format, small enough that a changed bit often hits a length.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let rows = Rows::of(300);
    let level = Compression::ZSTD(ZstdLevel::default());
    vec![
        ("a.parquet", rows.parquet(100, Compression::UNCOMPRESSED)),
        ("b.parquet", rows.parquet(100, Compression::SNAPPY)),
        ("c.parquet", rows.parquet(100, level)),
        ("d.csv", rows.csv()),
        ("d.csv.gz", gzip(&rows.csv())),
        ("d.csv.zst", zstd(&rows.csv())),
        ("e.jsonl", rows.json_lines()),
        ("e.jsonl.gz", gzip(&rows.json_lines())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_of_any_kind_ends_with_an_answer(
        which in 0_usize..8,
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 0..6),
        tail in any::<bool>(),
    ) {
        let (name, mut bytes) = files().swap_remove(which);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (at, bit) in flips {
            // Half of the time near the end, where Parquet has its lengths.
            let from = if tail { bytes.len() - bytes.len() / 3 } else { 0 };
            let span = bytes.len() - from;
            if span > 0 {
                bytes[from + at.index(span)] ^= 1 << bit;
            }
        }
        if let Err(refused) = Folder::new().read(name, &bytes) {
            let said = refused.to_string();
            prop_assert!(!said.chars().any(char::is_control), "{said:?}");
        }
    }
}
