//! What hosts say beside the windows that they count: how many answers say nothing, and who calls.
//!
//! A host looks at some answers of each version and tells each second what they said, and what
//! each of its most noticeable callers did. Kept in memory, in spans of five seconds by when they
//! came, for as long as anybody looks back; what was told while the hub was away is gone, as it is
//! about a moment that is over.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binnacle_core::blame::Share;
use binnacle_core::endpoint::EndpointName;
use binnacle_core::judge::{Counts, Nulls};
use binnacle_core::name::Name;
use binnacle_core::registry::Reference;

/// Seconds of a span: as long as those that verdicts and alerts are made of.
const SPAN_US: i64 = 5_000_000;
/// How long spans are kept: twice as long as requests that are few are added up. Of ten thousand
/// hosts with one version each this is 29 MB.
const KEPT_US: i64 = 10 * 60 * 1_000_000;

/// What hosts said. Clones share it. Its size is bounded by hosts and the versions on their routes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<All>>);

/// What callers did, over all hosts. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Callers(Arc<Mutex<AllCallers>>);

/// Callers of one endpoint that are kept: some of each host, which mostly are the same.
const CALLERS_MOST: usize = 200;
/// All that are not told apart.
const OTHERS: &str = "others";

type AllCallers = BTreeMap<EndpointName, BTreeMap<Arc<str>, VecDeque<(i64, Share)>>>;

/// One version of an endpoint on one host, span by span.
type Spans = VecDeque<(i64, Nulls)>;
type All = BTreeMap<EndpointName, BTreeMap<(Name, Reference), Spans>>;

impl Answers {
    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what one host said.
    pub(crate) fn add(
        &self,
        endpoint: EndpointName,
        (host, version): (Name, Reference),
        more: Nulls,
        now_us: i64,
    ) {
        let mut all = self.lock();
        let hosts = all.entry(endpoint).or_default();
        let is_new = !hosts.contains_key(&(host.clone(), version.clone()));
        if is_new {
            // What came of versions and hosts that are gone goes when others come.
            let is_kept = |spans: &Spans| spans.back().is_some_and(|(at, _)| now_us - at < KEPT_US);
            hosts.retain(|_, spans| is_kept(spans));
        }
        let spans = hosts.entry((host, version)).or_default();
        let at_us = now_us - now_us.rem_euclid(SPAN_US);
        match spans.back_mut() {
            Some((last_us, nulls)) if *last_us >= at_us => nulls.add(more),
            Some(_) | None => spans.push_back((at_us, more)),
        }
        while spans.front().is_some_and(|(at, _)| now_us - at >= KEPT_US) {
            spans.pop_front();
        }
    }

    /// All spans of an endpoint from one moment to before another, by version.
    pub(crate) fn spans(
        &self,
        endpoint: &EndpointName,
        (from_us, to_us): (i64, i64),
    ) -> Vec<(i64, Reference, Nulls)> {
        let all = self.lock();
        let hosts = all.get(endpoint).into_iter().flatten();
        let mut found: BTreeMap<(i64, &Reference), Nulls> = BTreeMap::new();
        for ((_, version), spans) in hosts {
            let within = spans.iter().filter(|(at, _)| (from_us..to_us).contains(at));
            for (at_us, nulls) in within {
                found.entry((*at_us, version)).or_default().add(*nulls);
            }
        }
        let found = found.into_iter();
        found
            .map(|((at_us, version), nulls)| (at_us, version.clone(), nulls))
            .collect()
    }

    /// Adds what was said in that time to what was counted, by version; of one host, if one is
    /// named. Only to versions that were counted: an answer is no request of its own.
    pub(crate) fn add_to(
        &self,
        counted: &mut BTreeMap<Reference, Counts>,
        endpoint: &EndpointName,
        host: Option<&Name>,
        (from_us, to_us): (i64, i64),
    ) {
        let all = self.lock();
        let hosts = all.get(endpoint).into_iter().flatten();
        let wanted = hosts.filter(|((one, _), _)| host.is_none_or(|host| host == one));
        for ((_, version), spans) in wanted {
            let Some(counts) = counted.get_mut(version) else {
                continue;
            };
            let within = spans.iter().filter(|(at, _)| (from_us..to_us).contains(at));
            within.for_each(|(_, nulls)| counts.nulls.add(*nulls));
        }
    }
}

impl Callers {
    /// Adds what one caller did at one host.
    pub(crate) fn add(&self, endpoint: EndpointName, caller: &str, more: Share, now_us: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = all.entry(endpoint).or_default();
        let is_kept = |spans: &VecDeque<(i64, Share)>| {
            spans.back().is_some_and(|(at, _)| now_us - at < KEPT_US)
        };
        if !callers.contains_key(caller) {
            callers.retain(|_, spans| is_kept(spans));
        }
        let caller = match callers.len() < CALLERS_MOST || callers.contains_key(caller) {
            true if !caller.is_empty() => caller,
            true | false => OTHERS,
        };
        let spans = callers.entry(caller.into()).or_default();
        let at_us = now_us - now_us.rem_euclid(SPAN_US);
        match spans.back_mut() {
            Some((last_us, share)) if *last_us >= at_us => share.add(more),
            Some(_) | None => spans.push_back((at_us, more)),
        }
        while spans.front().is_some_and(|(at, _)| now_us - at >= KEPT_US) {
            spans.pop_front();
        }
    }

    /// What each caller did from one moment to before another.
    pub(crate) fn within(
        &self,
        endpoint: &EndpointName,
        (from_us, to_us): (i64, i64),
    ) -> BTreeMap<Arc<str>, Share> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = all.get(endpoint).into_iter().flatten();
        let sum = |(caller, spans): (&Arc<str>, &VecDeque<(i64, Share)>)| {
            let mut sum = Share::default();
            let within = spans.iter().filter(|(at, _)| (from_us..to_us).contains(at));
            within.for_each(|(_, share)| sum.add(*share));
            (sum.of > 0).then(|| (caller.clone(), sum))
        };
        callers.filter_map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callers_do_adds_up_over_hosts_and_some_are_told_together() {
        let callers = Callers::default();
        let endpoint: EndpointName = "prod/fraud".parse().unwrap();
        let share = |beyond, of| Share { beyond, of };
        let add = |caller: &str, more, at_us| callers.add(endpoint.clone(), caller, more, at_us);
        add("shop", share(1, 10), 1_000_000);
        add("shop", share(2, 10), 6_000_000);
        add("", share(0, 5), 6_000_000);
        let all = callers.within(&endpoint, (0, 10_000_000));
        assert_eq!(all.get("shop"), Some(&share(3, 20)));
        assert_eq!(all.get(OTHERS), Some(&share(0, 5)));
        let late = callers.within(&endpoint, (5_000_000, 10_000_000));
        assert_eq!(late.get("shop"), Some(&share(2, 10)));
        for caller in 0..2 * CALLERS_MOST {
            add(&caller.to_string(), share(0, 1), 7_000_000);
        }
        let all = callers.within(&endpoint, (0, 10_000_000));
        assert!(all.len() <= CALLERS_MOST + 1, "{}", all.len());
        assert_eq!(
            all.values().map(|one| one.of).sum::<u64>(),
            25 + 2 * CALLERS_MOST as u64
        );
    }

    fn nulls(looked: u64, null: u64) -> Nulls {
        Nulls { looked, null }
    }

    #[test]
    fn what_hosts_say_adds_up_by_span_and_is_let_go_of() {
        let answers = Answers::default();
        let endpoint: EndpointName = "prod/fraud".parse().unwrap();
        let (one, two): (Reference, Reference) =
            ("fraud@1".parse().unwrap(), "fraud@2".parse().unwrap());
        let host = |number: u32| Name::parse(&format!("host-{number}")).unwrap();
        let say = |number, version: &Reference, more, at_us| {
            answers.add(
                endpoint.clone(),
                (host(number), version.clone()),
                more,
                at_us,
            );
        };
        say(1, &one, nulls(10, 1), 7_000_000);
        say(2, &one, nulls(10, 0), 9_000_000);
        say(1, &two, nulls(4, 4), 11_000_000);
        let all = answers.spans(&endpoint, (5_000_000, 15_000_000));
        assert_eq!(
            all,
            [
                (5_000_000, one.clone(), nulls(20, 1)),
                (10_000_000, two.clone(), nulls(4, 4)),
            ]
        );
        assert!(answers.spans(&endpoint, (0, 5_000_000)).is_empty());
        let mut counted = BTreeMap::from([(one.clone(), Counts::default())]);
        answers.add_to(&mut counted, &endpoint, Some(&host(1)), (0, i64::MAX));
        assert_eq!(counted.len(), 1, "what was not counted is not added");
        assert_eq!(counted.values().next().unwrap().nulls, nulls(10, 1));
        say(1, &one, nulls(1, 0), KEPT_US + 10_000_000);
        let left = answers.spans(&endpoint, (0, i64::MAX));
        assert_eq!(left.len(), 3, "of other hosts it is kept: {left:?}");
        say(3, &one, nulls(1, 0), 3 * KEPT_US);
        assert_eq!(answers.spans(&endpoint, (0, i64::MAX)).len(), 1);
    }
}
