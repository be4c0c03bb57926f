//! Whatever is asked of the registry, in whatever order: numbers are given once, lineage holds
//! both ways, nothing registered changes, and the registry is its journal replayed.
// A test that cannot go on fails.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use binnacle_core::caller::Caller;
use binnacle_core::journal::{Change, Stored, Walk};
use binnacle_core::name::Name;
use binnacle_core::observed::Observed;
use binnacle_core::registry::change::{FeatureSetDetail, Imported};
use binnacle_core::registry::{
    Card, Columns, Command, DataSetDetail, Digest, Feature, FeatureKind, Features, Golden, Line,
    Metrics, Object, Prose, Reference, Refusal, Registry, Signature, Trained, TrainedOn,
    VersionDetail, Way,
};
use binnacle_core::snapshot;
use binnacle_core::state::{self, Condition, Input, Request, State};
use binnacle_core::view::ModelItem;
use proptest::option;
use proptest::prelude::*;

/// A hub in memory.
#[derive(Default)]
struct Hub {
    state: State,
    journal: Vec<Stored>,
    now_us: i64,
}

impl Hub {
    fn ask(&mut self, command: Command, condition: Condition) -> Result<Option<Change>, Refusal> {
        self.now_us += 10;
        let input = Input::Asked {
            caller: Caller::Hub,
            why: "because".into(),
            request: Request::Registry(Box::new(command)),
            condition,
        };
        if state::before(&self.state, &input, self.now_us).is_some() {
            return Ok(None);
        }
        let drafts = match state::decide(&self.state, &Observed::default(), &input, self.now_us) {
            Ok(drafts) => drafts,
            Err(state::Refusal::Registry(refusal)) => return Err(refusal),
            Err(refusal) => panic!("{refusal}"),
        };
        let mut change = None;
        for draft in drafts {
            let entry = self.state.entry(draft, self.now_us);
            let stored = entry.seal(&self.state.hash);
            self.state.apply(&entry, stored.hash);
            self.journal.push(stored);
            change = Some(entry.change);
        }
        Ok(change)
    }

    #[track_caller]
    fn does(&mut self, command: Command) -> Option<Change> {
        self.ask(command, Condition::default()).unwrap()
    }

    #[track_caller]
    fn refuses(&mut self, command: Command, said: &str) {
        let refusal = self
            .ask(command, Condition::default())
            .unwrap_err()
            .to_string();
        assert!(refusal.contains(said), "{refusal}");
    }

    fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// The state as a hub has it that began with a snapshot of some moment.
    fn begun_with_snapshot(&self, cut: prop::sample::Index) -> State {
        let (mut state, mut walk) = (State::default(), Walk::past(None));
        let cut = cut.index(self.journal.len() + 1);
        for (place, stored) in self.journal.iter().enumerate() {
            if place == cut {
                state = snapshot::read(&snapshot::write(&state)).unwrap();
                walk = Walk::behind((state.sequence, state.hash), None);
            }
            state.apply(&walk.step(stored).unwrap(), stored.hash);
        }
        snapshot::read(&snapshot::write(&state)).unwrap()
    }

    fn replayed(&self) -> State {
        let (mut state, mut walk) = (State::default(), Walk::past(None));
        for stored in &self.journal {
            let entry = walk.step(stored).unwrap();
            state.apply(&entry, stored.hash);
        }
        state
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn line(text: &str) -> Line {
    Line::parse(text).unwrap()
}

fn version(text: &str) -> Reference {
    text.parse().unwrap()
}

fn number(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

fn card(description: &str) -> Card {
    Card {
        description: Prose::parse(description).unwrap(),
        ..Card::default()
    }
}

fn data(rows: u64) -> Box<DataSetDetail> {
    Box::new(DataSetDetail {
        location: line("s3://data/transactions.parquet"),
        format: name("parquet"),
        digest: None,
        rows: Some(rows),
        bytes: None,
        columns: Columns::default(),
        span: None,
        recorded_at_us: None,
        profile: None,
        notes: Prose::default(),
    })
}

fn features(names: &[&str]) -> Box<FeatureSetDetail> {
    let features = names.iter().map(|name| Feature {
        name: line(name),
        kind: FeatureKind::Float,
        unit: Line::default(),
        description: Line::default(),
        allowed: Default::default(),
    });
    Box::new(FeatureSetDetail {
        features: Features::parse(features.collect()).unwrap(),
        notes: Prose::default(),
    })
}

fn rows(width: i64) -> Signature {
    let tensor =
        format!(r#"{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [-1, {width}]}}]}}"#);
    serde_json::from_str(&tensor).unwrap()
}

fn trained(on: &[&str], parent: Option<&str>) -> Box<VersionDetail> {
    let on = on.iter().map(|text| text.parse::<Trained>().unwrap());
    Box::new(VersionDetail {
        data_sets: TrainedOn::parse(on.collect()).unwrap(),
        parent: parent.map(version),
        metrics: Metrics::parse(BTreeMap::from([(line("auc"), 0.97)])).unwrap(),
        ..VersionDetail::default()
    })
}

/// A hub with a data set of two versions, a feature set, and a model of two versions.
fn hub() -> Hub {
    let mut hub = Hub::default();
    hub.does(Command::RegisterDataSet(name("transactions"), data(100)));
    hub.does(Command::RegisterDataSet(name("transactions"), data(200)));
    hub.does(Command::RegisterFeatureSet(
        name("fraud-features"),
        features(&["amount", "age"]),
    ));
    hub.does(Command::CreateModel(name("fraud"), card("catches fraud")));
    hub.does(Command::RegisterVersion(
        name("fraud"),
        trained(&["transactions@1:train"], None),
    ));
    let second = trained(
        &["transactions@2:train", "transactions@1:test"],
        Some("fraud@1"),
    );
    hub.does(Command::RegisterVersion(name("fraud"), second));
    hub
}

#[test]
fn lineage_is_walked_both_ways() {
    let hub = hub();
    let registry = hub.registry();
    let object = |text: &str| Object::Version(version(text));
    let up = registry.lineage(&object("fraud@2"), Way::Sources).unwrap();
    let seen: Vec<String> = up
        .below
        .iter()
        .map(|node| format!("{} {}", node.relation, node.object))
        .collect();
    assert_eq!(
        seen,
        [
            "test data set transactions@1",
            "train data set transactions@2",
            "parent version fraud@1"
        ]
    );
    assert_eq!(
        up.below[2].below[0].object,
        Object::DataSetVersion(version("transactions@1"))
    );
    let data = Object::DataSetVersion(version("transactions@1"));
    let down = registry.lineage(&data, Way::Uses).unwrap();
    let seen: Vec<String> = down
        .below
        .iter()
        .map(|node| format!("{} {}", node.relation, node.object))
        .collect();
    assert_eq!(seen, ["train version fraud@1", "test version fraud@2"]);
    assert_eq!(down.below[0].below[0].relation, "child");
    assert!(down.below[1].is_cut || down.below[1].below.is_empty());
    assert_eq!(registry.lineage(&object("fraud@3"), Way::Sources), None);
}

#[test]
fn what_was_registered_stays_and_what_does_not_fit_is_refused() {
    let mut hub = hub();
    let fraud = || name("fraud");
    hub.refuses(
        Command::CreateModel(fraud(), card("")),
        "model fraud exists",
    );
    hub.refuses(Command::DeleteModel(fraud()), "has 2 versions");
    hub.refuses(
        Command::EditModel(name("churn"), card("")),
        "model churn is not registered",
    );
    let unknown = trained(&["transactions@9:train"], None);
    hub.refuses(
        Command::RegisterVersion(fraud(), unknown),
        "data set transactions@9",
    );
    let misfit = Box::new(VersionDetail {
        feature_set: Some(version("fraud-features@1")),
        signature: rows(3),
        ..VersionDetail::default()
    });
    hub.refuses(
        Command::RegisterVersion(fraud(), misfit),
        "input x takes 3 features a row, the feature set has 2",
    );
    hub.does(Command::MoveAlias(fraud(), name("champion"), number(2)));
    hub.refuses(
        Command::Deprecate(Object::Version(version("fraud@2"))),
        "alias champion",
    );
    hub.refuses(Command::Deprecate(Object::Model(fraud())), "alias champion");
    hub.does(Command::Deprecate(Object::Version(version("fraud@1"))));
    hub.refuses(
        Command::MoveAlias(fraud(), name("champion"), number(1)),
        "version fraud@1 is deprecated (because)",
    );
    hub.refuses(
        Command::MoveAlias(fraud(), name("best"), None),
        "no alias best",
    );
    hub.refuses(
        Command::MoveAlias(name("churn"), name("best"), None),
        "model churn",
    );
    assert_eq!(
        hub.does(Command::Deprecate(Object::Version(version("fraud@1")))),
        None
    );
    hub.does(Command::Restore(Object::Version(version("fraud@1"))));
    hub.does(Command::CreateModel(name("typo"), card("")));
    hub.does(Command::DeleteModel(name("typo")));
    assert!(!hub.registry().models.contains_key(&name("typo")));
}

#[test]
fn an_alias_answers_for_any_moment() {
    let mut hub = hub();
    let (fraud, champion) = (name("fraud"), name("champion"));
    let mut moments = vec![(hub.now_us, None)];
    for to in [number(1), number(2), None, number(1)] {
        hub.does(Command::MoveAlias(fraud.clone(), champion.clone(), to));
        moments.push((hub.now_us, to));
    }
    for (at_us, to) in moments {
        for at_us in [at_us, at_us + 9] {
            let at = hub.registry().aliased_at(&fraud, &champion, at_us);
            assert_eq!(at.map(|version| version.number), to);
        }
    }
    assert_eq!(
        hub.does(Command::MoveAlias(fraud, champion, number(1))),
        None
    );
}

#[test]
fn the_second_of_two_editors_is_told() {
    let mut hub = hub();
    let fraud = || name("fraud");
    let revision = hub.registry().revision(&Object::Model(fraud())).unwrap();
    let made_on = |revision| Condition {
        if_revision: Some(revision),
        key: None,
    };
    // Neither a version nor an alias is what an editor of the card has a copy of.
    hub.does(Command::RegisterVersion(fraud(), trained(&[], None)));
    hub.does(Command::MoveAlias(fraud(), name("champion"), number(1)));
    hub.ask(
        Command::EditModel(fraud(), card("first")),
        made_on(revision),
    )
    .unwrap();
    let second = hub.ask(
        Command::EditModel(fraud(), card("second")),
        made_on(revision),
    );
    let Err(Refusal::Changed {
        expected, found, ..
    }) = second
    else {
        panic!("{second:?}");
    };
    assert!(expected == revision && found > revision);
    hub.ask(Command::EditModel(fraud(), card("second")), made_on(found))
        .unwrap();
}

#[test]
fn a_command_under_a_key_is_done_once_by_whom_it_belongs_to() {
    let mut hub = hub();
    let keyed = || Condition {
        if_revision: None,
        key: Some(line("run-4711")),
    };
    let register = || Command::RegisterVersion(name("fraud"), trained(&[], None));
    assert!(hub.ask(register(), keyed()).unwrap().is_some());
    assert_eq!(hub.ask(register(), keyed()).unwrap(), None);
    hub.state = hub.replayed();
    assert_eq!(
        hub.ask(register(), keyed()).unwrap(),
        None,
        "not after a restart either"
    );
    assert_eq!(hub.registry().models[&name("fraud")].versions.len(), 3);
    hub.now_us += 25 * 3_600 * 1_000_000;
    let again = hub.ask(register(), keyed()).unwrap();
    assert!(
        again.is_some(),
        "a day later it is forgotten, whatever happened since"
    );
    assert_eq!(
        hub.ask(register(), keyed()).unwrap(),
        None,
        "and is known from then on"
    );
    let other = Condition {
        if_revision: None,
        key: Some(line("other")),
    };
    hub.ask(register(), other).unwrap();
    assert_eq!(
        hub.ask(register(), keyed()).unwrap(),
        None,
        "though its first use was let go"
    );
}

#[test]
fn what_another_hub_decided_is_taken_over_word_for_word() {
    let mut first = hub();
    first.does(Command::MoveAlias(
        name("fraud"),
        name("champion"),
        number(2),
    ));
    let mut second = Hub {
        now_us: 1_000_000,
        ..Hub::default()
    };
    let entries: Vec<_> = first
        .journal
        .iter()
        .map(|stored| {
            binnacle_core::journal::Entry::from_body(stored.sequence, &stored.body).unwrap()
        })
        .collect();
    for entry in &entries {
        let Change::Registry(change) = entry.change.clone() else {
            panic!("{entry:?}")
        };
        let imported = Imported {
            at_us: entry.at_us,
            caller: entry.caller.clone(),
            why: entry.why.clone(),
            change,
        };
        second.does(Command::Import(Box::new(imported)));
    }
    assert_eq!(
        second.registry(),
        first.registry(),
        "sequences, times and all"
    );
    assert_eq!(second.replayed(), second.state);
    let Change::Registry(change) = entries[0].change.clone() else {
        panic!("{:?}", entries[0]);
    };
    let again = Imported {
        at_us: 1,
        caller: Caller::Hub,
        why: String::new(),
        change,
    };
    second.refuses(Command::Import(Box::new(again)), "does not follow");
}

#[test]
fn a_model_is_told_of_as_it_was() {
    let mut hub = hub();
    let fraud = name("fraud");
    let before_us = hub.now_us;
    hub.does(Command::EditModel(fraud.clone(), card("second")));
    hub.does(Command::RegisterVersion(fraud.clone(), trained(&[], None)));
    hub.does(Command::Deprecate(Object::Model(fraud.clone())));
    let model = &hub.registry().models[&fraud];
    let then = ModelItem::at(&fraud, model, before_us).unwrap().named;
    assert_eq!(
        (then.card.description.as_str(), then.versions),
        ("catches fraud", 2)
    );
    assert_eq!(then.deprecated, None);
    let now = ModelItem::of(&fraud, model).named;
    assert_eq!((now.card.description.as_str(), now.versions), ("second", 3));
    assert_eq!(now.deprecated.as_deref(), Some("because"));
    assert_eq!(now.created_at_us, then.created_at_us);
    assert!(ModelItem::at(&fraud, model, now.created_at_us - 1).is_none());
}

fn command() -> impl Strategy<Value = Command> {
    let model = || {
        prop_oneof![
            Just(name("fraud")),
            Just(name("churn")),
            Just(name("price"))
        ]
    };
    let set = || prop_oneof![Just(name("clicks")), Just(name("sales"))];
    let one = || 1..4u32;
    let version = move || {
        (model(), one()).prop_map(|(name, one)| Reference {
            name,
            number: number(one).unwrap(),
        })
    };
    let sets = move || {
        (set(), one()).prop_map(|(name, one)| Reference {
            name,
            number: number(one).unwrap(),
        })
    };
    let object = move || {
        prop_oneof![
            model().prop_map(Object::Model),
            version().prop_map(Object::Version),
            set().prop_map(Object::DataSet),
            sets().prop_map(Object::DataSetVersion),
            sets().prop_map(Object::FeatureSetVersion),
            Just(Object::Environment(name("prod"))),
        ]
    };
    prop_oneof![
        3 => (model(), "[a-z]{0,3}")
            .prop_map(|(name, text)| Command::CreateModel(name, card(&text))),
        1 => (model(), "[a-z]{0,3}")
            .prop_map(|(name, text)| Command::EditModel(name, card(&text))),
        1 => model().prop_map(Command::DeleteModel),
        6 => (model(), option::of(sets()), option::of(version()), option::of(sets()))
            .prop_map(|(name, on, parent, feature_set)| {
                let on = on.map(|data_set| format!("{data_set}:train").parse().unwrap());
                let detail = VersionDetail {
                    data_sets: TrainedOn::parse(on.into_iter().collect()).unwrap(),
                    parent,
                    feature_set,
                    signature: rows(2),
                    ..VersionDetail::default()
                };
                Command::RegisterVersion(name, Box::new(detail))
            }),
        1 => version().prop_map(|version| Command::NoteVersion(version, Prose::default())),
        2 => (version(), option::of(any::<u8>())).prop_map(|(version, byte)| {
            let golden = byte.map(|byte| Golden {
                sha256: Digest([byte; 32]),
                bytes: 90,
                requests: 1,
            });
            Command::GoldenVersion(version, golden)
        }),
        3 => (model(), option::of(one())).prop_map(|(name, to)| {
            Command::MoveAlias(name, Name::parse("champion").unwrap(), to.and_then(number))
        }),
        3 => (set(), 0..3u64).prop_map(|(name, rows)| Command::RegisterDataSet(name, data(rows))),
        3 => set().prop_map(|name| Command::RegisterFeatureSet(name, features(&["a", "b"]))),
        1 => object().prop_map(Command::Deprecate),
        1 => object().prop_map(Command::Restore),
    ]
}

/// What was registered, as far as it may never change.
fn kept(registry: &Registry) -> Vec<(Reference, u64, i64, TrainedOn, Option<Reference>)> {
    let of_model = |(name, model): (&Name, &std::sync::Arc<binnacle_core::registry::Model>)| {
        let numbered: Vec<_> = (1u32..).zip(model.versions.iter().cloned()).collect();
        let name = name.clone();
        numbered.into_iter().map(move |(one, version)| {
            let reference = Reference {
                name: name.clone(),
                number: number(one).unwrap(),
            };
            (
                reference,
                version.sequence,
                version.at_us,
                version.data_sets,
                version.parent,
            )
        })
    };
    registry.models.iter().flat_map(of_model).collect()
}

proptest! {
    #[test]
    fn the_registry_is_its_journal_and_keeps_what_it_was_told(
        commands in prop::collection::vec(command(), 0..80),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut hub = Hub::default();
        for command in commands {
            let before = kept(hub.registry());
            let _refused = hub.ask(command, Condition::default());
            let after = kept(hub.registry());
            for version in &before {
                prop_assert!(after.contains(version), "{version:?} changed");
            }
        }
        prop_assert_eq!(&hub.replayed(), &hub.state);
        prop_assert_eq!(&hub.begun_with_snapshot(cut), &hub.state);
        let registry = hub.registry();
        for (version, _, _, on, parent) in kept(registry) {
            for trained in on.iter() {
                let set = registry.data_set(&trained.data_set).unwrap();
                let used = (version.clone(), trained.role);
                prop_assert!(set.trained().any(|one| one == used));
            }
            if let Some(parent) = parent {
                let children = &registry.version(&parent).unwrap().children;
                prop_assert!(children.iter().any(|child| *child == version));
            }
            let features = registry.version(&version).unwrap().feature_set.clone();
            if let Some(features) = features {
                prop_assert!(registry.feature_set(&features).unwrap().given.contains(&version));
            }
            for way in [Way::Sources, Way::Uses] {
                prop_assert!(registry.lineage(&Object::Version(version.clone()), way).is_some());
            }
        }
    }
}
