//! One agent's spool on a real disk, and on one that refuses.

use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::*;
use crate::clock;
use crate::seal::Sealer;
use crate::window::{Outcome, SealedSeries, SeriesKey};

const BOOT: BootId = BootId([1; 16]);
const START_US: i64 = 1_700_000_000_000_000;

struct Second {
    sealer: Sealer,
    passed: u32,
    opened: std::time::Instant,
}

impl Second {
    fn new(boot: BootId) -> Self {
        let opened = clock::now();
        Self {
            sealer: Sealer::new(boot, opened, START_US),
            passed: 0,
            opened,
        }
    }

    /// The next window, with so many requests.
    fn next(&mut self, requests: u64) -> Window {
        let mut latency = binnacle_sketch::Latency::<u64>::default();
        (0..requests).for_each(|_| latency.record(1_000_000));
        let series = SealedSeries {
            key: SeriesKey {
                endpoint: "".into(),
                model: "fraud".into(),
                version: "1".into(),
                outcome: Outcome::Ok,
            },
            latency: latency.encode(),
            request_bytes: 10,
            response_bytes: 20,
        };
        self.passed += 1;
        let now = self.opened + Duration::from_secs(self.passed.into());
        let wall_us = START_US + i64::from(self.passed) * 1_000_000;
        self.sealer.seal(vec![series], 0, now, wall_us)
    }
}

fn open(folder: &Path) -> Spool {
    Spool::open(folder, LIMIT_BYTES, BOOT).unwrap()
}

fn fill(spool: &mut Spool, seconds: &mut Second, windows: u32) {
    (0..windows).for_each(|_| spool.append(&seconds.next(1)));
}

/// The ranges and requests of everything that is offered from here on.
fn offered(spool: &mut Spool) -> Vec<(RangeInclusive<u64>, u64)> {
    std::iter::from_fn(|| spool.offer())
        .map(|window| (window.first..=window.last, window.requests()))
        .collect()
}

fn requests(offered: &[(RangeInclusive<u64>, u64)]) -> u64 {
    offered.iter().map(|(_, requests)| requests).sum()
}

/// The disk is full from here on, or is not any more.
fn room(spool: &mut Spool, bytes: Option<u64>) {
    match &mut spool.disk {
        Disk::Open { log, .. } => log.room = bytes.map(|bytes| log.len() + bytes),
        Disk::Refused(words) => panic!("{words}"),
    }
}

#[test]
fn what_was_offered_is_offered_again_as_it_was_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut seconds = Second::new(BOOT);
    fill(&mut spool, &mut seconds, 300);
    let first = offered(&mut spool);
    assert!(
        first.len() < 100,
        "old seconds were added together: {}",
        first.len()
    );
    fill(&mut spool, &mut seconds, 300);
    spool.rewind();
    let second = offered(&mut spool);
    assert_eq!(second.get(..first.len()), Some(&first[..]));
    drop(spool);
    let again = BootId([2; 16]);
    let mut spool = Spool::open(dir.path(), LIMIT_BYTES, again).unwrap();
    assert_eq!(spool.boots(), [BOOT]);
    assert_eq!(offered(&mut spool), second);
    assert_eq!(requests(&second), 600);
}

#[test]
fn this_starts_windows_go_before_those_of_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open(dir.path()), &mut Second::new(BOOT), 2);
    let later = BootId([2; 16]);
    let mut spool = Spool::open(dir.path(), LIMIT_BYTES, later).unwrap();
    fill(&mut spool, &mut Second::new(later), 2);
    let boots: Vec<_> = std::iter::from_fn(|| spool.offer())
        .map(|window| window.boot)
        .collect();
    assert_eq!(boots, [later, later, BOOT, BOOT]);
}

#[test]
fn durable_windows_leave_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut seconds = Second::new(BOOT);
    for _ in 0..20 {
        fill(&mut spool, &mut seconds, 500);
        offered(&mut spool);
        spool.forget(BOOT, seconds.sealer.last());
    }
    assert_eq!(spool.losses(), Losses::default());
    let on_disk = fs::metadata(dir.path().join("spool.log")).unwrap().len();
    assert!(on_disk < 2 * GARBAGE_BYTES, "{on_disk}");
    drop(spool);
    assert!(open(dir.path()).boots().is_empty());
}

#[test]
fn what_was_never_offered_is_not_forgotten_whatever_the_hub_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    fill(&mut spool, &mut Second::new(BOOT), 5);
    spool.forget(BOOT, u64::MAX);
    spool.forget(BootId([9; 16]), u64::MAX);
    assert_eq!(offered(&mut spool).len(), 5);
}

#[test]
fn the_oldest_go_first_when_the_limit_is_reached_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 4_096;
    let mut spool = Spool::open(dir.path(), limit, BOOT).unwrap();
    let mut seconds = Second::new(BOOT);
    let windows = 20_000;
    for _ in 0..windows {
        // Offered, so that nothing is added together.
        spool.append(&seconds.next(3));
        spool.offer();
    }
    let losses = spool.losses();
    assert!(losses.spooled_bytes <= limit, "{losses:?}");
    spool.rewind();
    let kept = offered(&mut spool);
    assert_eq!(kept.last().unwrap().0, windows..=windows);
    assert_eq!(losses.spool_windows + kept.len() as u64, windows);
    assert_eq!(losses.spool_requests + requests(&kept), 3 * windows);
    drop(spool);
    let mut spool = open(dir.path());
    assert_eq!(offered(&mut spool), kept, "what was dropped stays dropped");
}

#[test]
fn a_full_disk_makes_windows_wait_in_memory_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut seconds = Second::new(BOOT);
    fill(&mut spool, &mut seconds, 3);
    room(&mut spool, Some(100));
    fill(&mut spool, &mut seconds, 5);
    assert!(spool.losses().spool_write_failures > 0);
    assert_eq!(spool.losses().spooled_windows, 8);
    room(&mut spool, None);
    fill(&mut spool, &mut seconds, 1);
    drop(spool);
    let mut spool = open(dir.path());
    assert_eq!(requests(&offered(&mut spool)), 9);
}

#[test]
fn a_disk_that_stays_full_costs_the_oldest_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    let mut seconds = Second::new(BOOT);
    room(&mut spool, Some(0));
    let mut appended = 0;
    while spool.losses().spool_windows == 0 {
        let window = seconds.next(1);
        // Offered, so that nothing is added together.
        spool.append(&window);
        spool.offer();
        appended += 1;
        assert!(appended < 100_000, "the limit in memory holds");
    }
    let losses = spool.losses();
    assert!(losses.spooled_bytes <= MEMORY_LIMIT_BYTES, "{losses:?}");
    assert_eq!(
        losses.spool_windows + u64::from(losses.spooled_windows),
        appended
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    fs::write(&folder, "in the way").unwrap();
    let mut spool = open(&folder);
    assert!(spool.trouble().is_some());
    let mut seconds = Second::new(BOOT);
    fill(&mut spool, &mut seconds, 3);
    fs::remove_file(&folder).unwrap();
    fill(&mut spool, &mut seconds, 1);
    assert_eq!(spool.trouble(), None);
    drop(spool);
    assert_eq!(requests(&offered(&mut open(&folder))), 4);
}

#[test]
fn a_flipped_byte_costs_one_window_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path());
    fill(&mut spool, &mut Second::new(BOOT), 10);
    drop(spool);
    let path = dir.path().join("spool.log");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut spool = open(dir.path());
    assert_eq!(requests(&offered(&mut spool)), 9);
    assert_eq!(spool.losses().spool_windows, 1);
}

#[test]
fn boots_beyond_the_limit_are_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let boots = BOOTS_MOST as u8 + 6;
    for boot in 0..boots {
        let boot = BootId([boot; 16]);
        let mut spool = Spool::open(dir.path(), LIMIT_BYTES, boot).unwrap();
        fill(&mut spool, &mut Second::new(boot), 1);
    }
    let spool = Spool::open(dir.path(), LIMIT_BYTES, BootId([200; 16])).unwrap();
    assert!(spool.boots().len() <= BOOTS_MOST);
}
