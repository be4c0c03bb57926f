//! What is read of a table: its columns, its types, its times, how far it is.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::types::Float16Type;
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float32Array, Int8Array, NullArray,
    PrimitiveArray, RecordBatch, TimestampNanosecondArray, UInt64Array,
};
use binnacle_data::{DataError, Options, Source, Type, read};
use binnacle_sketch::profile::{Compared, Found, Kind, compare, rows};
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt as _, path::Path};
use parquet::basic::Compression;

use super::files::{Folder, Rows, of, parquet};

#[test]
fn a_table_is_told_by_its_columns_times_and_profile() {
    let folder = Folder::new();
    let table = folder.read("a.csv", &Rows::of(5_000).csv()).unwrap();
    let told: Vec<(&str, Type, bool)> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind, c.nullable))
        .collect();
    assert_eq!(
        told,
        [
            ("at", Type::Time, false),
            ("amount", Type::Number, false),
            ("count", Type::Integer, true),
            ("city", Type::Text, true),
            ("new", Type::Boolean, false),
        ]
    );
    let last = 1_700_000_000_000_000 + 4_999 * 60_000_000;
    assert_eq!(table.span_us, Some((1_700_000_000_000_000, last)));
    assert_eq!(table.bytes, Rows::of(5_000).csv().len() as u64);
    let kinds: Vec<Kind> = table.profile.features.iter().map(|f| f.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Number, Kind::Integer, Kind::Category, Kind::Boolean]
    );
    let city = table.profile.feature("city").unwrap();
    assert_eq!(city.nulls, table.columns[3].nulls);
    assert!(city.hours.is_some(), "times give hours of the week");
    let Found::Categories(ranked) = &city.found else {
        panic!("{city:?}")
    };
    assert_eq!(ranked.categories.distinct(), 4);
    assert_eq!(rows(&table.profile, 10).len(), 4);
}

#[test]
fn another_part_of_the_same_data_lies_within_chance_of_it() {
    let folder = Folder::new();
    let reference = folder.read("a.csv", &Rows::of(10_007).csv()).unwrap();
    let other = folder.read("b.csv", &Rows::of(3_000).csv()).unwrap();
    for comparison in compare(&reference.profile, &other.profile) {
        let Compared::Distances(apart) = comparison.compared else {
            panic!("{comparison:?}")
        };
        assert!(
            apart.psi.value < apart.psi.chance_high,
            "{}: {apart:?}",
            comparison.name
        );
        assert!(
            apart.ks.value < apart.ks.chance_high,
            "{}: {apart:?}",
            comparison.name
        );
    }
}

#[test]
fn every_plain_type_of_parquet_becomes_one_of_ours() {
    let half: PrimitiveArray<Float16Type> = [Some(half_of(1.5)), None].into_iter().collect();
    let decimal = Decimal128Array::from(vec![Some(12_345), None]).with_precision_and_scale(9, 2);
    let columns: Vec<(&str, ArrayRef, Type, f64)> = vec![
        ("half", Arc::new(half), Type::Number, 1.5),
        (
            "single",
            Arc::new(Float32Array::from(vec![Some(0.5), None])),
            Type::Number,
            0.5,
        ),
        ("decimal", Arc::new(decimal.unwrap()), Type::Number, 123.45),
        (
            "tiny",
            Arc::new(Int8Array::from(vec![Some(-7), None])),
            Type::Integer,
            -7.0,
        ),
        (
            "wide",
            Arc::new(UInt64Array::from(vec![Some(7), None])),
            Type::Integer,
            7.0,
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(2), None])),
            Type::Time,
            0.0,
        ),
        (
            "ns",
            Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None])),
            Type::Time,
            0.0,
        ),
    ];
    let arrays = columns
        .iter()
        .map(|(name, array, ..)| (*name, Arc::clone(array), true));
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
    let bytes = parquet(&batch, 10, Compression::LZ4_RAW);
    let table = Folder::new().read("a.parquet", &bytes).unwrap();
    for ((name, _, kind, value), column) in columns.iter().zip(&table.columns) {
        assert_eq!(
            (column.name.as_str(), column.kind, column.nulls),
            (*name, *kind, 1)
        );
        if let Some(Found::Numbers(numbers)) = table.profile.feature(name).map(|f| &f.found) {
            assert_eq!((numbers.min, numbers.max), (*value, *value), "{name}");
        }
    }
    // The day is two days after the epoch, and is the first column of times.
    assert_eq!(table.span_us, Some((172_800_000_000, 172_800_000_000)));
    let named = Options {
        time: Some("ns".into()),
        ..Options::default()
    };
    let table = Folder::new()
        .read_with("a.parquet", &bytes, &named)
        .unwrap();
    assert_eq!(
        table.span_us,
        Some((-1, -1)),
        "a nanosecond before 1970 is in the one before"
    );
    assert_eq!(NullArray::new(1).len(), 1);
}

fn half_of(x: f32) -> <Float16Type as arrow_array::ArrowPrimitiveType>::Native {
    <Float16Type as arrow_array::ArrowPrimitiveType>::Native::from_f32(x)
}

#[test]
fn columns_are_declared_and_left_out() {
    let folder = Folder::new();
    let mut options = Options::default();
    options.types.insert("code".into(), Type::Text);
    options.without.insert("note".into());
    let table = folder
        .read_with("a.csv", b"code,note,x\n1,a,2\n2,b,3\n", &options)
        .unwrap();
    let told: Vec<(&str, Type)> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind))
        .collect();
    assert_eq!(told, [("code", Type::Text), ("x", Type::Integer)]);
    let lines = b"{\"code\":1,\"note\":[1,{}],\"x\":2}\n{\"x\":3,\"code\":\"2\"}\n";
    let same = folder.read_with("a.jsonl", lines, &options).unwrap();
    assert_eq!(same.digest, table.digest);
}

#[test]
fn a_header_alone_is_a_table_without_rows() {
    let table = Folder::new().read("a.csv", b"a,b\n").unwrap();
    assert_eq!((table.rows, table.columns.len()), (0, 2));
    assert!(
        table
            .profile
            .features
            .iter()
            .all(|f| f.found == Found::Nothing)
    );
    let none = Rows::of(0).parquet(10, Compression::SNAPPY);
    let table = Folder::new().read("a.parquet", &none).unwrap();
    assert_eq!((table.rows, table.columns.len()), (0, 5));
}

#[test]
fn one_row_and_columns_of_nothing_are_read() {
    let table = Folder::new()
        .read("a.csv", b"x,nothing,odd\n7,,inf\n")
        .unwrap();
    assert_eq!(table.rows, 1);
    let features = &table.profile.features;
    assert!(matches!(features[0].found, Found::Numbers(_)));
    assert_eq!(
        (features[1].nulls, &features[1].found),
        (1, &Found::Nothing)
    );
    assert_eq!(features[2].not_finite, 1);
}

#[test]
fn progress_rises_to_the_whole_file_and_ends_reading_when_it_is_told_to() {
    let folder = Folder::new();
    for (name, bytes) in [
        (
            "a.parquet",
            Rows::of(30_000).parquet(5_000, Compression::SNAPPY),
        ),
        ("a.csv", Rows::of(30_000).csv()),
        ("a.jsonl", Rows::of(30_000).json_lines()),
    ] {
        folder.read(name, &bytes).unwrap();
        let source = Source::File(folder.path(name));
        let mut told = Vec::new();
        let mut keep = |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        };
        read(&source, &Options::default(), &mut keep).unwrap();
        assert!(
            told.is_sorted_by_key(|progress| (progress.rows, progress.bytes)),
            "{name}"
        );
        assert!(told.len() >= 8, "{name}: {}", told.len());
        let last = told.last().unwrap();
        assert_eq!(
            (last.rows, last.of_bytes),
            (30_000, bytes.len() as u64),
            "{name}"
        );
        assert!(
            last.bytes <= last.of_bytes && last.bytes * 10 > last.of_bytes * 9,
            "{last:?}"
        );
        let mut stop = |_| ControlFlow::Break(());
        let ended = read(&source, &Options::default(), &mut stop);
        assert!(
            matches!(ended, Err(DataError::Interrupted { rows: 4_096 })),
            "{ended:?}"
        );
    }
}

#[test]
fn an_object_in_a_store_is_read_as_a_file_is() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = Arc::new(InMemory::new());
    let folder = Folder::new();
    for (name, bytes) in [
        (
            "a.parquet",
            Rows::of(10_000).parquet(3_000, Compression::SNAPPY),
        ),
        ("a.csv", Rows::of(10_000).csv()),
    ] {
        let file = folder.read(name, &bytes).unwrap();
        let path = Path::from(format!("sets/{name}"));
        runtime.block_on(store.put(&path, bytes.into())).unwrap();
        let handle = runtime.handle().clone();
        let source = Source::Object {
            store: store.clone(),
            path,
            runtime: handle,
        };
        let mut go_on = |_| ControlFlow::Continue(());
        let object = read(&source, &Options::default(), &mut go_on).unwrap();
        assert_eq!(object, file, "{name}");
    }
    let path = Path::from("nowhere.csv");
    let source = Source::Object {
        store,
        path,
        runtime: runtime.handle().clone(),
    };
    let missing = read(&source, &Options::default(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(
        matches!(missing, Err(DataError::Store { .. })),
        "{missing:?}"
    );
    assert!(matches!(
        of(&folder.path("nowhere.csv"), &Options::default()),
        Err(DataError::Read { .. })
    ));
}
