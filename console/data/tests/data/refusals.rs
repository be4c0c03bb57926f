//! What is refused, and what the person who asked is told: what happened, where, what to do.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, UInt64Array};
use binnacle_data::{COLUMNS, DataError, Options, Type};
use parquet::basic::Compression;

use super::files::{Folder, Rows, gzip, parquet, zstd};

/// What is said of these bytes.
fn said(name: &str, bytes: &[u8]) -> String {
    said_with(name, bytes, &Options::default())
}

fn said_with(name: &str, bytes: &[u8], options: &Options) -> String {
    let folder = Folder::new();
    let refused = folder.read_with(name, bytes, options).unwrap_err();
    let place = folder.path(name).display().to_string();
    refused.to_string().replace(&place, name)
}

#[test]
fn rows_that_do_not_fit_are_told_by_line() {
    assert_eq!(
        said("a.csv", b"a,b\n1,2\n3\n"),
        "line 3 has 1 fields where the header has 2: mend that line"
    );
    assert_eq!(
        said("a.csv", b"a,b\n1,2\n3,4,5\n"),
        "line 3 has 3 fields where the header has 2: mend that line"
    );
    assert_eq!(
        said("a.jsonl", b"{\"a\":1}\n\n{\"a\":2\n"),
        "line 3 is no JSON object on one line: mend that line"
    );
    assert_eq!(
        said("a.csv", b"a,b\n1,\xff\n"),
        "line 2, column \"b\" is no UTF-8: convert the file"
    );
}

#[test]
fn a_value_that_does_not_fit_its_column_is_told_by_line_column_and_remedy() {
    let mut text = String::from("id,amount\n");
    for n in 0..12_000 {
        text += &format!("{n},{n}\n");
    }
    assert_eq!(
        said("a.csv", format!("{text}7,1.5\n").as_bytes()),
        "line 12002, column \"amount\": \"1.5\" is no integer, which the column was found to be: \
         declare another type (--type amount=number), or mend that value"
    );
    assert_eq!(
        said("a.csv", format!("{text}7,\u{1b}[31mx\n").as_bytes()),
        "line 12002, column \"amount\": \"\\u{1b}[31mx\" is no integer, which the column was \
         found to be: declare another type (--type amount=text), or mend that value"
    );
    assert_eq!(
        said("a.jsonl", b"{\"a\":1}\n{\"a\":\"x\"}\n"),
        "line 2, column \"a\": \"x\" is no integer, which the column was found to be: declare \
         another type (--type a=text), or mend that value"
    );
    let mut declared = Options::default();
    declared.types.insert("a".into(), Type::Number);
    assert_eq!(
        said_with("a.csv", b"a\nx\n", &declared),
        "line 2, column \"a\": \"x\" is no number, which the column was declared: declare another \
         type (--type a=text), or mend that value"
    );
}

#[test]
fn names_that_could_not_be_told_apart_or_shown_are_refused() {
    assert_eq!(
        said("a.csv", b"a,b,a\n"),
        "column \"a\" comes twice: rename one of them"
    );
    assert_eq!(
        said("a.csv", b"a,,b\n"),
        "column 2 has no name: give it one"
    );
    assert_eq!(
        said("a.csv", b"a,\"b\x1b[2J\"\n"),
        "column \"b\\u{1b}[2J\" has a control character in its name: rename it"
    );
    let long = format!("a,{}\n", "x".repeat(256));
    assert!(
        said("a.csv", long.as_bytes()).contains("over 255 bytes: is the first line the header?")
    );
    let many: Vec<String> = (0..=COLUMNS).map(|n| format!("c{n}")).collect();
    assert_eq!(
        said("a.csv", many.join(",").as_bytes()),
        "the table has more than 2048 columns: leave some out, or split it"
    );
    let twice = said("a.jsonl", b"{\"a\":1,\"a\":2}\n");
    assert_eq!(
        twice,
        "line 1 is no JSON object on one line: mend that line"
    );
}

#[test]
fn a_file_that_is_not_what_it_is_called_is_refused() {
    let parquet = Rows::of(10).parquet(10, Compression::SNAPPY);
    let cases: [(&str, &[u8], &str); 7] = [
        ("a.csv", &parquet, "called CSV but holds Parquet"),
        (
            "a.parquet",
            b"a,b\n1,2\n",
            "called Parquet but holds something else",
        ),
        ("a.csv", &gzip(b"a\n1\n"), "called CSV but holds gzip"),
        (
            "a.csv.gz",
            &zstd(b"a\n1\n"),
            "called CSV in gzip but holds zstd",
        ),
        (
            "a.csv.gz",
            b"a\n1\n",
            "called CSV in gzip but holds something else",
        ),
        (
            "a.jsonl",
            b"a\n1\n",
            "called JSON lines but holds something else",
        ),
        ("a.parquet", b"{\"a\":1}\n", "called Parquet but holds JSON"),
    ];
    for (name, bytes, expected) in cases {
        let said = said(name, bytes);
        assert!(said.contains(expected), "{name}: {said}");
        assert!(
            said.ends_with("rename it, or check what wrote it"),
            "{said}"
        );
    }
    assert!(said("a.xlsx", b"PK\x03\x04").contains("of no known format"));
    assert!(Folder::new().read("no-extension", &parquet).is_ok());
}

#[test]
fn nothing_is_no_table() {
    for name in ["a.csv", "a.parquet", "a.jsonl", "a.csv.gz"] {
        assert!(said(name, b"").contains("holds no table"), "{name}");
    }
    assert!(said("a.csv", b"\n\n").contains("holds no table"));
    assert!(said("a.csv.gz", &gzip(b"")).contains("holds no table"));
    assert!(said("a.jsonl", b"{}\n").contains("holds no table"));
}

#[test]
fn packed_data_that_ends_early_is_cut_short() {
    let csv = Rows::of(2_000).csv();
    for (name, packed) in [("a.csv.gz", gzip(&csv)), ("a.csv.zst", zstd(&csv))] {
        for keep in [packed.len() - 1, packed.len() / 2] {
            let said = said(name, &packed[..keep]);
            assert!(said.contains("is cut short"), "{name} {keep}: {said}");
        }
    }
    let parquet = Rows::of(2_000).parquet(500, Compression::SNAPPY);
    let said = said("a.parquet", &parquet[..parquet.len() - 9]);
    assert!(said.contains("is no readable Parquet"), "{said}");
}

#[test]
fn what_would_never_end_is_ended() {
    let open = [b"a,b\n1,\"".to_vec(), b"x,y\n".repeat(5 << 20)].concat();
    let said_open = said("a.csv", &open);
    assert!(
        said_open.starts_with("the record that begins on line 2 is longer"),
        "{said_open}"
    );
    let endless = [&b"{\"a\":\""[..], &vec![b'x'; 17 << 20]].concat();
    assert!(said("a.jsonl.gz", &gzip(&endless)).contains("is longer than 16777216 bytes"));
    let bomb = format!("a\n{}", format!("{}\n", "x".repeat(60_000)).repeat(3_000));
    let packed = zstd(bomb.as_bytes());
    assert!(
        bomb.len() as u64 > (64 << 20) + packed.len() as u64 * 2_000,
        "{}",
        packed.len()
    );
    let said_bomb = said("a.csv.zst", &packed);
    assert!(
        said_bomb.contains("unpacks to more than 2000 times its size"),
        "{said_bomb}"
    );
    let long = format!("a\n{}\n", "x".repeat(70_000));
    assert!(said("a.csv", long.as_bytes()).contains("holds a text over 65536 bytes"));
}

#[test]
fn columns_that_are_no_features_are_named() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"x"[..]]));
    let great: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let of = |name: &str, array: &ArrayRef| {
        let batch = RecordBatch::try_from_iter([(name, Arc::clone(array))]).unwrap();
        said("a.parquet", &parquet(&batch, 10, Compression::SNAPPY))
    };
    assert!(of("blob", &bytes).starts_with("column \"blob\" is bytes, which is neither"));
    let said_great = of("id", &great);
    assert!(
        said_great.starts_with("row 1, column \"id\": 18446744073709551615 is past"),
        "{said_great}"
    );
    let object = said("a.jsonl", b"{\"a\":1,\"v\":{}}\n");
    assert!(
        object.starts_with("column \"v\" is an object, which is neither"),
        "{object}"
    );
    let mut late = b"{\"a\":1}\n".repeat(10_001);
    late.extend_from_slice(b"{\"a\":1,\"b\":2}\n");
    let said_late = said("a.jsonl", &late);
    assert!(
        said_late.starts_with("line 10002 has a column \"b\" that the first"),
        "{said_late}"
    );
}

#[test]
fn options_have_to_name_columns_that_are_there() {
    let folder = Folder::new();
    let csv = Rows::of(10).csv();
    let with = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        folder.read_with("a.csv", &csv, &options)
    };
    let gone = with(&|o| o.time = Some("when".into()));
    assert!(matches!(gone, Err(DataError::NoSuchColumn(name)) if name == "when"));
    let gone = with(&|o| o.without.extend(["x".into()]));
    assert!(matches!(gone, Err(DataError::NoSuchColumn(_))));
    let odd = with(&|o| o.time = Some("amount".into()));
    assert!(matches!(
        odd,
        Err(DataError::NoTime {
            kind: Type::Number,
            ..
        })
    ));
    assert!(
        "decimal"
            .parse::<Type>()
            .unwrap_err()
            .to_string()
            .contains("is no type: one of")
    );
    let mut declared = Options::default();
    declared.types.insert("amount".into(), Type::Text);
    let parquet = Rows::of(10).parquet(10, Compression::SNAPPY);
    let kept = folder.read_with("a.parquet", &parquet, &declared);
    assert!(matches!(kept, Err(DataError::Declared { .. })), "{kept:?}");
}
