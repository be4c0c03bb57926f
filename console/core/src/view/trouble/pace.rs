//! All hosts slower at once: the median of all requests held against its own past.
//!
//! One host cannot double the median of everybody's requests unless most requests are its own,
//! so what is found here is not one host.

use super::{Object, Trouble};
use crate::view::{Glance, LatencyPoint, Status};

/// The median of all requests is slow from this many times its usual one on: traffic that
/// changes its mix over a day moves it by less.
const SLOWER: f64 = 2.0;
/// Finished steps in a row that must be slow: one may be a burst.
const LEAST_SLOW: usize = 2;
/// Steps before them that say what is usual.
const LEAST_USUAL: usize = 5;
/// The greatest share of all requests that one host may have for the others to be meant too.
const LARGEST: f64 = 0.5;

pub(super) fn slower(hosts: &[&Glance], past: &[LatencyPoint]) -> Option<Trouble> {
    let known: Vec<(i64, f64)> = past
        .iter()
        .filter_map(|point| Some((point.start_us, point.all.p50_us?)))
        .collect();
    // What is usual is the median of all of it: slow steps move it only once they are most.
    let mut usual: Vec<f64> = known.iter().map(|(_, p50)| *p50).collect();
    usual.sort_unstable_by(f64::total_cmp);
    let usual = usual.get(usual.len() / 2).copied()?;
    let slow = known.iter().rev();
    let slow = slow.take_while(|(_, p50)| *p50 >= SLOWER * usual);
    let slow: Vec<(i64, f64)> = slow.copied().collect();
    if slow.len() < LEAST_SLOW || known.len() - slow.len() < LEAST_USUAL || usual <= 0.0 {
        return None;
    }
    let (since_us, _) = slow.last()?;
    let (_, now_p50) = slow.first()?;
    let requests = hosts.iter().map(|host| u64::from(host.cell.requests));
    let (all, largest) = (requests.clone().sum::<u64>(), requests.max().unwrap_or(0));
    let is_one = largest as f64 > LARGEST * all as f64;
    let serving = hosts.iter().filter(|host| host.cell.requests > 0).count();
    Some(Trouble {
        severity: Status::Warn,
        title: "all requests".into(),
        since_us: Some(*since_us),
        what: format!(
            "median {} × what it was",
            super::peers::figure(now_p50 / usual)
        ),
        blame: match is_one {
            true => "unknown: one host has most of the requests".into(),
            false => "all hosts: upstream or the model".into(),
        },
        next: "latencies by version tell whether it is one of them".into(),
        object: Object::Hosts(String::new()),
        hosts: serving,
    })
}
