//! Rollouts in simulated time, on a simulated network that is cut, slow and cut again, with a hub,
//! agents and clocks that fail: whatever is drawn, no host serves what it has not, no switch is
//! late, every rollout ends, and in the end all hosts have the one route that the hub has.
//!
//! The hub is whole but for its disk. Of the agents it is everything that decides. One seed is one
//! run: a failure names it, and `BINNACLE_SEEDS=FROM..TO` runs others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use binnacle_proto::v1::Steer;

use self::network::HUB;
use self::operator::Operator;
use self::stand::Stand;

mod host;
mod network;
mod operator;
mod stand;

/// Seeds of a run that nobody asks for others.
const SEEDS: Range<u64> = 1..25;
/// Rollouts of one seed.
const ROLLOUTS: usize = 6;
/// After the last fault, all is quiet by then.
const QUIET: Duration = Duration::from_secs(60);

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("BINNACLE_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = text.split_once("..").expect("BINNACLE_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Says which seed it was, if this one fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "that was seed {0}: BINNACLE_SEEDS={0}..{1}",
                self.0,
                self.0 + 1
            );
        }
    }
}

/// One seed, from beginning to end: how its rollouts ended, and everything that happened.
fn run(seed: u64) -> (Vec<Arc<str>>, Vec<String>) {
    let _named = Named(seed);
    let mut stand = Stand::new(seed);
    let mut operator = Operator::new(seed);
    stand.sim.client("beginner", async move {
        operator.prepare().await;
        Ok(())
    });
    while !stand.step() {}
    let mut operator = Operator::new(seed.wrapping_add(1 << 32));
    let (told, ended) = std::sync::mpsc::channel();
    stand.sim.client("operator", async move {
        told.send(operator.goes_on(ROLLOUTS).await)?;
        Ok(())
    });
    while !stand.step() {
        stand.stir();
    }
    stand.mend();
    is_whole(&mut stand, seed);
    (ended.recv().unwrap(), stand.trace)
}

/// In the end all hosts have the route that the hub has, and nothing is left of what they decided
/// by themselves.
fn is_whole(stand: &mut Stand<'_>, seed: u64) {
    let operator = Operator::new(seed);
    let (told, heard) = std::sync::mpsc::channel();
    stand.sim.client("onlooker", async move {
        loop {
            let endpoint = operator.endpoint().await;
            let _over = told.send(endpoint);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let until = stand.sim.elapsed() + QUIET;
    let mut last = None;
    while stand.sim.elapsed() < until {
        stand.step();
        last = heard.try_iter().last().or(last);
        let Some(endpoint) = &last else {
            continue;
        };
        let live = stand.live();
        let is_same = live.iter().all(|route| **route == *endpoint.route);
        if is_same && endpoint.rollout.is_none() && endpoint.heard == 3 && stand.is_settled() {
            return;
        }
    }
    panic!("{last:?}\n{:?}\n{:#?}", stand.live(), stand.trace);
}

#[test]
fn whatever_is_cut_killed_or_late_every_rollout_ends_and_all_hosts_have_one_route() {
    let mut ends: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for seed in seeds() {
        for end in run(seed).0 {
            *ends.entry(end).or_default() += 1;
        }
    }
    for end in ["promoted", "rolled_back", "aborted"] {
        assert!(ends.contains_key(end), "none was {end}: {ends:?}");
    }
}

/// Hosts that went from one version to another, which somebody is to confirm within 20 s.
fn confirming(seed: u64) -> Stand<'static> {
    let mut stand = Stand::new(seed);
    let mut operator = Operator::new(seed);
    stand.sim.client("operator", async move {
        operator.prepare().await;
        operator.confirming(2, 20).await;
        Ok(())
    });
    while !stand.step() {}
    stand
}

#[test]
fn with_the_hub_dead_each_host_goes_back_on_time_whatever_its_clock_says() {
    for seed in seeds() {
        let _named = Named(seed);
        let mut stand = confirming(seed);
        let armed = stand.armed();
        assert_eq!(armed.len(), 3);
        stand.sim.crash(HUB);
        // Agents may die as well, and clocks be set: their switches are on the disk, and count
        // from the start of the machine.
        stand.upset();
        let last = armed.iter().max().copied().unwrap();
        while stand.sim.elapsed() < last + Duration::from_millis(100) {
            stand.step();
            for (text, at) in stand.live().iter().zip(&armed) {
                // Neither late, which is looked at on every step, nor early.
                let is_before = stand.sim.elapsed() < *at;
                assert!(!is_before || text == "scan@2 100%", "{text} before {at:?}");
            }
        }
        assert_eq!(stand.live(), ["scan@1 100%"; 3]);
        stand.sim.bounce(HUB);
        is_whole(&mut stand, seed);
    }
}

#[test]
fn a_host_that_no_confirmation_reaches_goes_back_and_follows_again_when_it_is_heard() {
    for seed in seeds() {
        let _named = Named(seed);
        let mut stand = confirming(seed);
        stand.cut(2);
        let mut operator = Operator::new(seed.wrapping_add(1 << 32));
        stand.sim.client("confirmer", async move {
            operator.steers(Steer::Confirm).await?;
            Ok(())
        });
        while !stand.step() {}
        let until = stand.sim.elapsed() + Duration::from_secs(25);
        while stand.sim.elapsed() < until {
            stand.step();
        }
        // The host that nobody could tell goes back; it must not be left like that.
        assert_eq!(stand.live()[2], "scan@1 100%", "{:?}", stand.live());
        stand.join(2);
        is_whole(&mut stand, seed);
    }
}

#[test]
fn one_seed_is_one_run() {
    assert_eq!(run(SEEDS.start), run(SEEDS.start));
}
