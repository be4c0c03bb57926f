//! What holds whatever happens: no message and no size makes the console panic, and what is
//! selected can be seen.

use proptest::prelude::*;

use crate::keymap::{VIEWS, bindings};
use crate::msg::Msg;
use crate::question::{Answer, Question};
use crate::stage::{self, Stage};

#[derive(Clone, Debug)]
enum Event {
    Keys(String),
    Typed(String),
    Paste(String),
    Size(u16, u16),
    Wait(i64),
    Fleet(usize),
    Changed(usize),
    Rows(usize),
    Models(usize),
    Entry(u64),
    Lose,
    Connect,
    Answers(bool),
    Seen,
}

fn event() -> impl Strategy<Value = Event> {
    let keys: Vec<String> = bindings()
        .flat_map(|line| line.keys.iter().map(|keys| (*keys).to_owned()))
        // Quitting ends nothing here, and suspending is the loop's.
        .collect();
    prop_oneof![
        20 => prop::sample::select(keys).prop_map(Event::Keys),
        4 => "[a-zA-Z0-9 /:<>=~!.,é日]{1,6}".prop_map(Event::Typed),
        1 => "\\PC{0,20}".prop_map(Event::Paste),
        3 => (0u16..=250, 0u16..=80).prop_map(|(width, height)| Event::Size(width, height)),
        3 => (0i64..90_000_000).prop_map(Event::Wait),
        2 => (0usize..300).prop_map(Event::Fleet),
        1 => (1usize..300).prop_map(Event::Changed),
        2 => (1usize..60).prop_map(Event::Rows),
        1 => (1usize..30).prop_map(Event::Models),
        1 => (1u64..100).prop_map(Event::Entry),
        1 => Just(Event::Lose),
        2 => Just(Event::Connect),
        3 => any::<bool>().prop_map(Event::Answers),
        1 => Just(Event::Seen),
    ]
}

fn play(stage: &mut Stage, event: Event) {
    match event {
        Event::Keys(keys) => stage.press(&keys),
        Event::Typed(text) => stage.type_text(&text),
        Event::Paste(text) => stage.tell(Msg::Paste(text)),
        Event::Size(width, height) => stage.tell(Msg::Size { width, height }),
        Event::Wait(us) => stage.wait(us),
        Event::Fleet(hosts) => stage.tell(Msg::Glances(stage::glances(hosts))),
        Event::Changed(number) => {
            let mut glances = stage::glances(0);
            glances.is_whole = false;
            glances.hosts.push(stage::glance(number));
            stage.tell(Msg::Glances(glances));
        }
        Event::Rows(count) => stage.tell(Msg::Hosts((1..=count).map(stage::row).collect())),
        Event::Models(count) => stage.tell(Msg::Models(stage::models(count))),
        Event::Entry(sequence) => {
            let entry = stage::entry(sequence, "host_retired/v1", "infer-0007", "loud fan");
            stage.tell(Msg::Entry(entry));
        }
        Event::Lose => stage.lose(),
        Event::Connect => stage.connect(),
        Event::Answers(well) => stage.answer(|question| match (well, question) {
            (true, Question::Past { .. }) => Ok(Answer::Past(stage::glances(40).into())),
            (true, Question::Host { .. }) => Ok(Answer::Host(Some(stage::row(7).into()))),
            (true, Question::Journal { .. }) => Ok(Answer::Journal(
                (1..20)
                    .rev()
                    .map(|sequence| stage::entry(sequence, "host_admitted/v1", "infer-0001", ""))
                    .collect(),
            )),
            (
                true,
                Question::Listed(_)
                | Question::Lineage { .. }
                | Question::About { .. }
                | Question::Profile { .. }
                | Question::Distances { .. },
            ) => stage::registry::Registry::of(300).answer(question),
            (true, Question::Alerts(inquiry)) => stage::alerts::Alerts::default().answer(inquiry),
            (true, Question::Endpoints(inquiry)) => stage::endpoints::Fleet::busy().answer(inquiry),
            (true, Question::Latency { .. } | Question::HostLatency { .. })
            | (true, Question::History { .. })
            | (false, _) => Err("the hub is busy".into()),
        }),
        Event::Seen => stage.tell(Msg::Seen),
    }
}

/// Whether the list of hosts, where it is on the screen, shows which one is selected.
fn selection_is_seen(stage: &Stage) -> Result<(), TestCaseError> {
    let model = &stage.model;
    let (width, height) = model.size;
    let is_list = model.screen().place().view == "hosts" && model.screen().crumbs().len() == 1;
    let is_bare = model.overlay.is_none() && model.pending.is_none();
    let place = model.screen().place();
    if is_list && is_bare && width >= 40 && height >= 12 && !place.selected.is_empty() {
        let text = stage.text();
        let marked = text.lines().find(|line| line.starts_with('▌'));
        let is_there = model.look().fleet.host(&place.selected).is_some();
        prop_assert!(
            !is_there || marked.is_some(),
            "{} is not marked:\n{text}",
            place.selected
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_panics_and_the_selection_is_seen(
        view in 0..VIEWS.len(),
        size in (0u16..=250, 0u16..=80),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let mut stage = Stage::connected(VIEWS[view].name, size);
        for event in events {
            play(&mut stage, event);
            stage.text();
            selection_is_seen(&stage)?;
        }
    }

    #[test]
    fn what_happened_can_be_written_down_and_read_back(
        hosts in 0usize..20,
        rows in 1usize..5,
    ) {
        let messages = [
            Msg::Glances(stage::glances(hosts)),
            Msg::Hosts((1..=rows).map(stage::row).collect()),
            Msg::Models(stage::models(rows)),
            Msg::Entry(stage::entry(4, "host_admitted/v1", "infer-0001", "")),
            Msg::Key("ctrl-a".parse().unwrap()),
        ];
        for message in messages {
            let line = serde_json::to_string(&message).unwrap();
            prop_assert_eq!(serde_json::from_str::<Msg>(&line).unwrap(), message);
        }
    }
}
