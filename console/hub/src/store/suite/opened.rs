//! What a store is when it is opened again, by two, after it was tampered with, or by another
//! release.

use super::*;

#[tokio::test]
async fn what_was_confirmed_is_there_after_the_store_is_opened_again() {
    for place in [file(), database()] {
        let store = open(&place.url).await.unwrap();
        store.append(chain(1, 3)).await.unwrap();
        let rows = vec![row(0, Span::TenSeconds, window("fraud", &[5_000]))];
        store.flush(batch(1, rows.clone())).await.unwrap();
        drop(store);
        for store in [
            open(&place.url).await.unwrap(),
            open_to_read(&place.url).await.unwrap(),
        ] {
            assert_eq!(store.entries(0, 9).await.unwrap(), chain(1, 3));
            assert_eq!(read(&store, everything(1)).await.0, rows);
            assert_eq!(
                store.watermarks("h1".into()).await.unwrap(),
                [mark("h1", 1, 1)]
            );
            assert_eq!(store.flushed().await.unwrap().flush, 1);
        }
    }
}

#[tokio::test]
async fn a_store_opened_to_read_is_neither_made_nor_written() {
    for place in [file(), database()] {
        let missing = open_to_read(&place.url).await.unwrap_err();
        match place.url {
            StoreUrl::Sqlite(_) => {
                assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
                assert!(!path(&place).exists());
            }
            StoreUrl::Memory | StoreUrl::Postgres(_) => {
                assert!(matches!(missing, StoreError::Older { .. }), "{missing}");
            }
        }
        drop(open(&place.url).await.unwrap());
        let store = open_to_read(&place.url).await.unwrap();
        assert!(store.append(chain(1, 1)).await.is_err());
        assert!(store.confirm_head().await.is_err());
        assert_eq!(store.head().await.unwrap(), None);
    }
}

#[tokio::test]
async fn two_hubs_on_one_store_do_not_mix_their_entries() {
    for place in [file(), database()] {
        let (one, other) = (
            open(&place.url).await.unwrap(),
            open(&place.url).await.unwrap(),
        );
        one.append(chain(1, 2)).await.unwrap();
        let fenced = other.append(chain(1, 1)).await.unwrap_err();
        assert!(matches!(fenced, StoreError::Conflict { .. }), "{fenced}");
        assert_eq!(other.entries(0, 9).await.unwrap(), chain(1, 2));
        assert_eq!(
            other.confirm_head().await.unwrap(),
            (2, chain(2, 2)[0].hash)
        );
    }
}

#[tokio::test]
async fn of_two_that_append_at_once_one_is_refused() {
    for place in [file(), database()] {
        let stores = [
            open(&place.url).await.unwrap(),
            open(&place.url).await.unwrap(),
        ];
        for at in 1..=20 {
            let both = stores.iter().map(|store| store.append(chain(at, at)));
            let done = futures::future::join_all(both).await;
            assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1);
            let refused = done.into_iter().find_map(Result::err).unwrap();
            assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
        }
        assert_eq!(stores[0].entries(0, 99).await.unwrap(), chain(1, 20));
    }
}

#[tokio::test]
async fn the_last_snapshot_is_kept_and_earlier_ones_are_let_go() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        assert_eq!(store.snapshot().await.unwrap(), None);
        for (sequence, bytes) in [(3, 3 << 20 | 7), (4, 0), (9, 2 << 20)] {
            let bytes = (0..bytes).map(|at| (at % 251) as u8).collect();
            let kept = Arc::new(Snapshot::new((sequence, [sequence as u8; 32]), 7, bytes));
            store.save_snapshot(kept.clone()).await.unwrap();
            assert_eq!(store.snapshot().await.unwrap().as_ref(), Some(&*kept));
            assert!(kept.is_intact());
        }
        if matches!(place.url, StoreUrl::Memory) {
            continue;
        }
        tamper(&place, "DELETE FROM snapshot_part WHERE part = 1").await;
        let cut = store.snapshot().await.unwrap().unwrap();
        assert!(!cut.is_intact());
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_off_leaves_the_noted_head_behind() {
    for place in [file(), database()] {
        let store = open(&place.url).await.unwrap();
        store.append(chain(1, 3)).await.unwrap();
        drop(store);
        tamper(&place, "DELETE FROM journal WHERE sequence = 3").await;
        let store = open(&place.url).await.unwrap();
        assert_eq!(store.head().await.unwrap().unwrap().0, 2);
        assert_eq!(store.meta_head().await.unwrap().unwrap().0, 3);
    }
}

#[tokio::test]
async fn names_are_whatever_servers_call_their_models() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        let names = ["a\0b", "\u{1f600}", "'; DROP TABLE rollup; --", ""];
        let mut rows: Vec<_> = names
            .iter()
            .map(|name| row(0, Span::TenSeconds, window(name, &[5_000])))
            .collect();
        store.flush(batch(1, rows.clone())).await.unwrap();
        rows.sort_by(|a, b| a.window.key.model.cmp(&b.window.key.model));
        assert_eq!(read(&store, everything(1)).await.0, rows);
    }
}

#[tokio::test]
async fn bytes_that_are_no_store_are_called_corrupt() {
    let place = file();
    std::fs::write(path(&place), vec![b'x'; 8_192]).unwrap();
    let refusal = open(&place.url).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Corrupt { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_store_of_a_later_release_is_left_alone() {
    for (place, later) in [
        (file(), "PRAGMA user_version = 99"),
        (database(), "UPDATE release SET version = 99"),
    ] {
        drop(open(&place.url).await.unwrap());
        tamper(&place, later).await;
        for refusal in [
            open(&place.url).await.err(),
            open_to_read(&place.url).await.err(),
        ] {
            let refusal = refusal.unwrap();
            assert!(
                matches!(refusal, StoreError::Newer { found: 99, .. }),
                "{refusal:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_database_of_somebody_else_is_not_read_as_a_store() {
    for place in [file(), database()] {
        tamper(&place, "CREATE TABLE journal (a TEXT)").await;
        let refusal = open_to_read(&place.url).await.unwrap_err();
        assert!(matches!(refusal, StoreError::Older { .. }), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_row_that_no_release_writes_is_named() {
    for (place, wrong) in [
        (file(), "UPDATE rollup SET counts = x'ff'"),
        (database(), "UPDATE rollup SET counts = '\\xff'"),
    ] {
        let store = open(&place.url).await.unwrap();
        let rows = vec![row(0, Span::TenSeconds, window("fraud", &[5_000]))];
        store.flush(batch(1, rows)).await.unwrap();
        tamper(&place, wrong).await;
        let refusal = store.rollups(everything(1), &mut |_| {}).await.unwrap_err();
        assert!(refusal.to_string().contains("\"fraud\""), "{refusal}");
    }
}

#[tokio::test]
async fn a_database_that_goes_and_comes_back_is_gone_on_with() {
    let mut server = postgres::Postgres::start();
    let store = open(&server.database().parse().unwrap()).await.unwrap();
    store.append(chain(1, 2)).await.unwrap();
    for end in [postgres::Postgres::stop, postgres::Postgres::kill] {
        end(&mut server);
        let away = store.append(chain(3, 3)).await.unwrap_err();
        assert!(matches!(away, StoreError::Away { .. }), "{away:?}");
        assert!(store.confirm_head().await.is_err());
        assert!(store.entries(0, 9).await.is_err());
        server.start_again();
        assert_eq!(
            store.confirm_head().await.unwrap(),
            (2, chain(2, 2)[0].hash)
        );
        assert_eq!(store.entries(0, 9).await.unwrap(), chain(1, 2));
    }
    store.append(chain(3, 3)).await.unwrap();
}
