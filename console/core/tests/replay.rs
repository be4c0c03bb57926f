//! Whatever happens, in whatever order, with kills in between: the state is the journal,
//! replayed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on fails

use std::collections::BTreeMap;

use binnacle_core::caller::Caller;
use binnacle_core::host::{Admission, Labels, Membership};
use binnacle_core::journal::{Change, Entry, Flaw, Stored, Walk};
use binnacle_core::name::Name;
use binnacle_core::observed::{Observed, StreamId};
use binnacle_core::report::BootId;
use binnacle_core::served::Served;
use binnacle_core::snapshot;
use binnacle_core::state::{self, Condition, Duty, Greeting, Input, Refusal, Request, State};
use proptest::prelude::*;

/// A hub in memory: what the real engine does, with kills at its two dangerous moments.
#[derive(Default)]
struct Hub {
    state: State,
    observed: Observed,
    journal: Vec<Stored>,
    now_us: i64,
}

/// Where the hub is killed while it takes an input.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kill {
    Never,
    BeforePersisting,
    BeforeApplying,
}

impl Hub {
    fn replayed(journal: &[Stored]) -> State {
        let (mut state, mut walk) = (State::default(), Walk::past(None));
        for stored in journal {
            let entry = walk.step(stored).unwrap();
            state.apply(&entry, stored.hash);
        }
        state
    }

    fn restart(&mut self) {
        self.state = Self::replayed(&self.journal);
        self.observed = Observed::default();
    }

    fn take(&mut self, input: &Input, kill: Kill) -> Result<usize, Refusal> {
        self.now_us += 1;
        let drafts = state::decide(&self.state, &self.observed, input, self.now_us)?;
        let count = drafts.len();
        if kill == Kill::BeforePersisting {
            self.restart();
            return Ok(0);
        }
        let mut next = self.state.clone();
        for draft in drafts {
            let entry = next.entry(draft, self.now_us);
            let stored = entry.seal(&next.hash);
            next.apply(&entry, stored.hash);
            self.journal.push(stored);
        }
        if kill == Kill::BeforeApplying {
            self.restart();
            return Ok(count);
        }
        self.state = next;
        self.observed.note(input, self.now_us);
        Ok(count)
    }
}

fn host(n: u8) -> Name {
    Name::parse(&format!("host-{n}")).unwrap()
}

fn greeting(n: u8, boot: u8, zone: u8) -> Greeting {
    let labels = BTreeMap::from([("zone".to_owned(), zone.to_string())]);
    Greeting {
        admission: Admission {
            host: host(n),
            environment: Name::parse("prod").unwrap(),
            labels: Labels::parse(labels).unwrap(),
        },
        boot: BootId([boot; 16]),
        generation: 0,
        agent_version: "0.1.0".into(),
        attachment: "path".into(),
    }
}

fn ask(request: Request) -> Input {
    Input::Asked {
        caller: Caller::Hub,
        why: "because".into(),
        request,
        condition: Condition::default(),
    }
}

fn input() -> impl Strategy<Value = Input> {
    let stream = (1..6u64).prop_map(StreamId);
    prop_oneof![
        1 => Just(Input::Start { store: "s".into() }),
        4 => (stream.clone(), 0..3u8, 0..2u8, 0..2u8).prop_map(|(stream, n, boot, zone)| {
            Input::Joined { stream, greeting: greeting(n, boot, zone) }
        }),
        2 => (stream.clone(), 0..20u64)
            .prop_map(|(stream, generation)| {
                let served = Served { generation, ..Served::default() };
                Input::Serves { stream, served: served.into() }
            }),
        2 => stream.prop_map(|stream| Input::Left { stream }),
        2 => (0..3u8).prop_map(|n| ask(Request::RetireHost(host(n)))),
        1 => (0..3u8).prop_map(|n| ask(Request::ReadmitHost(host(n)))),
    ]
}

fn kill() -> impl Strategy<Value = Kill> {
    prop_oneof![
        8 => Just(Kill::Never),
        1 => Just(Kill::BeforePersisting),
        1 => Just(Kill::BeforeApplying),
    ]
}

proptest! {
    #[test]
    fn the_state_is_the_journal_replayed(
        steps in prop::collection::vec((input(), kill()), 0..60),
    ) {
        let mut hub = Hub::default();
        for (input, kill) in &steps {
            let _refused = hub.take(input, *kill);
            prop_assert_eq!(&hub.state, &Hub::replayed(&hub.journal));
        }
    }

    #[test]
    fn a_command_repeated_after_a_lost_answer_is_applied_once(
        steps in prop::collection::vec(input(), 0..40), n in 0..3u8, retire: bool,
    ) {
        let mut hub = Hub::default();
        for input in &steps {
            let _refused = hub.take(input, Kill::Never);
        }
        let request = if retire { Request::RetireHost } else { Request::ReadmitHost };
        let input = ask(request(host(n)));
        let first = hub.take(&input, Kill::BeforeApplying);
        let written = hub.journal.len();
        let second = hub.take(&input, Kill::Never);
        prop_assert_eq!(written, hub.journal.len());
        prop_assert_eq!(first.is_err(), second.is_err());
    }

    #[test]
    fn entries_delivered_twice_or_late_change_nothing(
        steps in prop::collection::vec(input(), 0..40),
    ) {
        let mut hub = Hub::default();
        for input in &steps {
            let _refused = hub.take(input, Kill::Never);
        }
        let mut state = hub.state.clone();
        for stored in hub.journal.iter().rev() {
            let entry = Entry::from_body(stored.sequence, &stored.body).unwrap();
            state.apply(&entry, stored.hash);
        }
        prop_assert_eq!(state, hub.state);
    }

    #[test]
    fn what_is_wanted_follows_the_last_decision_and_its_generation_only_grows(
        steps in prop::collection::vec((input(), kill()), 0..60),
    ) {
        let mut hub = Hub::default();
        let mut generations = [0u64; 3];
        for (input, kill) in &steps {
            let _refused = hub.take(input, *kill);
            for (n, last) in generations.iter_mut().enumerate() {
                let Some(wanted) = state::wanted(&hub.state, &host(n as u8)) else { continue };
                prop_assert!(wanted.generation >= *last);
                *last = wanted.generation;
                let retired = matches!(
                    hub.state.hosts[&host(n as u8)].membership, Membership::Retired { .. });
                prop_assert_eq!(matches!(wanted.duty, Duty::Leave(_)), retired);
            }
        }
    }

    #[test]
    fn any_flip_loss_or_reordering_in_the_journal_is_found_and_named(
        steps in prop::collection::vec(input(), 10..40), at: prop::sample::Index,
        byte: prop::sample::Index, bit in 0..8u8, how in 0..4u8,
    ) {
        let mut hub = Hub::default();
        hub.take(&Input::Start { store: "s".into() }, Kill::Never).unwrap();
        for input in &steps {
            let _refused = hub.take(input, Kill::Never);
        }
        let head = Some((hub.state.sequence, hub.state.hash));
        let mut journal = hub.journal.clone();
        let at = at.index(journal.len());
        match how {
            0 => { let n = byte.index(journal[at].body.len()); journal[at].body[n] ^= 1 << bit; }
            1 => { let n = byte.index(32); journal[at].hash[n] ^= 1 << bit; }
            2 => { journal.remove(at); }
            _ => { journal.truncate(at); }
        }
        let mut walk = Walk::past(head);
        let found = journal.iter().try_for_each(|stored| walk.step(stored).map(drop))
            .and_then(|()| walk.finish());
        let fault = found.unwrap_err();
        prop_assert_eq!(fault.sequence, at as u64 + 1, "{}", fault);
    }
}

#[test]
fn a_retired_host_is_refused_until_it_is_readmitted() {
    let mut hub = Hub::default();
    let join = Input::Joined {
        stream: StreamId(1),
        greeting: greeting(0, 1, 0),
    };
    assert_eq!(hub.take(&join, Kill::Never), Ok(1));
    assert_eq!(
        hub.take(&ask(Request::RetireHost(host(0))), Kill::Never),
        Ok(1)
    );
    let refused = hub.take(&join, Kill::Never).unwrap_err();
    assert_eq!(
        refused,
        Refusal::Retired {
            host: host(0),
            why: "because".into()
        }
    );
    assert_eq!(
        hub.take(&ask(Request::ReadmitHost(host(0))), Kill::Never),
        Ok(1)
    );
    assert_eq!(hub.take(&join, Kill::Never), Ok(0));
}

#[test]
fn the_older_of_two_machines_with_one_name_keeps_command() {
    let mut hub = Hub::default();
    let join = |stream, boot, zone| Input::Joined {
        stream: StreamId(stream),
        greeting: greeting(0, boot, zone),
    };
    hub.take(&join(1, 1, 0), Kill::Never).unwrap();
    assert_eq!(
        hub.take(&join(2, 2, 1), Kill::Never),
        Ok(0),
        "the newer one relabels nothing"
    );
    assert_eq!(hub.observed.streams(&host(0)), 2);
    assert_eq!(hub.observed.commanding(&host(0)).unwrap().0, StreamId(1));
    hub.take(&join(3, 1, 0), Kill::Never).unwrap();
    assert_eq!(
        hub.observed.streams(&host(0)),
        2,
        "a boot that dials anew replaces its stream"
    );
}

#[test]
fn an_entry_that_an_earlier_release_wrote_is_still_read() {
    let body = br#"{"sequence":2,"at_us":7,"caller":{"host":"a"},"why":"",
        "kind":"host_admitted/v1","data":{"host":"a","environment":"prod","labels":{"k":"v"}}}"#;
    let entry = Entry::from_body(2, body).unwrap();
    assert!(matches!(entry.change, Change::HostAdmitted(_)));
    let unknown = br#"{"sequence":2,"at_us":7,"caller":"hub","why":"","kind":"x/v9","data":1}"#;
    let fault = Entry::from_body(2, unknown).unwrap_err();
    assert!(matches!(fault.what, Flaw::Unreadable(_)), "{fault}");
}

proptest! {
    #[test]
    fn a_snapshot_gives_the_state_back_and_damaged_bytes_give_nothing_or_something_whole(
        steps in prop::collection::vec((input(), Just(Kill::Never)), 0..40),
        cut in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let mut hub = Hub::default();
        for (input, kill) in &steps {
            let _refused = hub.take(input, *kill);
        }
        let mut bytes = snapshot::write(&hub.state);
        prop_assert_eq!(&snapshot::read(&bytes).unwrap(), &hub.state);
        let at = cut.index(bytes.len());
        prop_assert!(snapshot::read(&bytes[..at]).is_err());
        bytes[at] ^= flip;
        // The digest that is kept beside them finds this; here, that nothing panics.
        let _either = snapshot::read(&bytes);
    }
}
