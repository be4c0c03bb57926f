//! The digest belongs to the content: the definition, what it ignores, and what it does not.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::basic::{Compression, ZstdLevel};
use sha2::{Digest as _, Sha256};

use super::files::{Folder, Rows, gzip, parquet, zstd};

#[test]
fn the_same_table_has_the_same_digest_and_profile_in_every_format() {
    let folder = Folder::new();
    let rows = Rows::of(9_001);
    let snappy = folder
        .read("a.parquet", &rows.parquet(1_000, Compression::SNAPPY))
        .unwrap();
    let level = Compression::ZSTD(ZstdLevel::default());
    let others = [
        folder.read(
            "b.parquet",
            &rows.parquet(1_000_000, Compression::UNCOMPRESSED),
        ),
        folder.read("c.parquet", &rows.parquet(37, level)),
        folder.read("d.csv", &rows.csv()),
        folder.read("d.csv.gz", &gzip(&rows.csv())),
        folder.read("d.csv.zst", &zstd(&rows.csv())),
        folder.read("e.jsonl", &rows.json_lines()),
        folder.read("e.ndjson.gz", &gzip(&rows.json_lines())),
        folder.read("e.jsonl.zst", &zstd(&rows.json_lines())),
    ];
    for (at, other) in others.into_iter().enumerate() {
        let other = other.unwrap();
        assert_eq!(other.columns, snappy.columns, "{at}");
        assert_eq!(other.digest, snappy.digest, "{at}");
        assert_eq!(other.profile.digest(), snappy.profile.digest(), "{at}");
        assert_eq!(other.span_us, snappy.span_us, "{at}");
    }
}

#[test]
fn a_wide_table_that_is_read_some_columns_at_a_time_is_the_same_table() {
    let folder = Folder::new();
    const COLUMNS: usize = 130;
    // The column of times first, between two groups of columns, and last.
    for time in [0, 60, COLUMNS - 1] {
        let (mut text, mut arrays) = (String::new(), Vec::new());
        let rows = 0..5_000_i64;
        for column in 0..COLUMNS {
            let cells = rows.clone().map(|row| row * 37 % (101 + column as i64));
            let array: ArrayRef = match column == time {
                true => Arc::new(TimestampMicrosecondArray::from_iter_values(
                    rows.clone().map(|row| row * 60_000_000),
                )),
                false => Arc::new(Int64Array::from_iter_values(cells)),
            };
            arrays.push((format!("c{column}"), array));
        }
        let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
        text.push_str(&names.join(","));
        for row in rows {
            let cells = (0..COLUMNS).map(|column| match column == time {
                true => format!(
                    "1970-01-{:02}T{:02}:{:02}:00Z",
                    1 + row / 1_440,
                    row / 60 % 24,
                    row % 60
                ),
                false => (row * 37 % (101 + column as i64)).to_string(),
            });
            text.push('\n');
            text.push_str(&cells.collect::<Vec<_>>().join(","));
        }
        let batch = RecordBatch::try_from_iter(arrays).unwrap();
        let wide = parquet(&batch, 1_700, Compression::SNAPPY);
        let wide = folder.read("wide.parquet", &wide).unwrap();
        let whole = folder.read("wide.csv", text.as_bytes()).unwrap();
        assert_eq!(wide.columns, whole.columns, "{time}");
        assert_eq!(wide.digest, whole.digest, "{time}");
        assert_eq!(wide.span_us, whole.span_us, "{time}");
        assert!(wide.profile == whole.profile, "{time}");
    }
}

#[test]
fn one_cell_in_the_middle_changes_the_digest_and_so_does_the_order() {
    let folder = Folder::new();
    let rows = Rows::of(100_000);
    let changed = Rows {
        changed: Some(50_000),
        ..rows
    };
    let whole = folder
        .read("a.parquet", &rows.parquet(20_000, Compression::SNAPPY))
        .unwrap();
    let other = folder
        .read("b.parquet", &changed.parquet(20_000, Compression::SNAPPY))
        .unwrap();
    assert_eq!(whole.rows, 100_000);
    assert_ne!(whole.digest, other.digest);
    let digest = |text: &str| folder.read("c.csv", text.as_bytes()).unwrap().digest;
    let plain = digest("a,b\n1,2\n3,4\n");
    for other in [
        "a,b\n3,4\n1,2\n",
        "b,a\n2,1\n4,3\n",
        "a,c\n1,2\n3,4\n",
        "a,b\n1,2\n3,\n",
        "a,b\n1,2\n3,0\n",
        "a,b\n1,2\n3,4\n3,4\n",
        "a,b\n1,2\n3,4.0\n",
        "a\n1\n3\n",
    ] {
        assert_ne!(digest(other), plain, "{other:?}");
    }
    assert_eq!(digest("\u{feff}a,b\r\n1,\"2\"\r\n\r\n3,4"), plain);
}

/// The definition in the crate's documentation, followed word by word.
#[test]
fn the_digest_is_the_one_that_is_defined() {
    let words = ["a", "", "ß"];
    let numbers = [Some(1.5), None, Some(-0.0)];
    let columns: [(&str, ArrayRef); 2] = [
        ("x", Arc::new(Float64Array::from(numbers.to_vec()))),
        ("word", Arc::new(StringArray::from(words.to_vec()))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = Folder::new()
        .read("a.parquet", &parquet(&batch, 2, Compression::SNAPPY))
        .unwrap();

    let hash = |parts: &[&[u8]]| Sha256::digest(parts.concat());
    let block = hash(&[
        &3_u32.to_le_bytes(),
        &[1, 0b010],
        &1.5_f64.to_le_bytes(),
        &0x7ff8_0000_0000_0000_u64.to_le_bytes(),
        &0_f64.to_le_bytes(),
    ]);
    let x = hash(&[&1_u32.to_le_bytes(), b"x", &[2], &block]);
    let lengths = [1_u32, 0, 2].map(u32::to_le_bytes).concat();
    let block = hash(&[&3_u32.to_le_bytes(), &[0], &lengths, "aß".as_bytes()]);
    let word = hash(&[&4_u32.to_le_bytes(), b"word", &[3], &block]);
    let all = [
        &b"binnacle table 1\n"[..],
        &3_u64.to_le_bytes(),
        &2_u32.to_le_bytes(),
        &x,
        &word,
    ];
    assert_eq!(table.digest[..], hash(&all)[..]);
}
