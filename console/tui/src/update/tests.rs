//! What a person presses, and what comes of it.

use crate::config::Config;
use crate::draw;
use crate::model::HINT;
use crate::msg::{Effect, Following, Msg};
use crate::question::{Answer, Question, Wish};
use crate::stage::{self, NOW_US, Stage};

fn full(size: (u16, u16)) -> Stage {
    let mut stage = Stage::with_hosts("hosts", size, 412);
    stage.tell(Msg::Hosts((1..60).map(stage::row).collect()));
    stage
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only wishes are looked for")]
fn wishes(stage: &Stage) -> Vec<Wish> {
    let wish = |effect: &'_ Effect| match effect {
        Effect::Do(wish) => Some(wish.clone()),
        _ => None,
    };
    stage.effects.iter().filter_map(wish).collect()
}

#[test]
fn a_host_is_retired_only_by_its_name_and_a_reason_and_by_keys_that_saw_the_question() {
    let mut stage = full((120, 40));
    stage.press("a t");
    assert!(stage.effects.contains(&Effect::AskSeen));
    stage.type_text("infer-0001");
    stage.press("enter");
    stage.type_text("typed before it was seen");
    stage.press("enter");
    assert_eq!(wishes(&stage), [] as [Wish; 0]);
    stage.tell(Msg::Seen);
    stage.type_text("infer-0002");
    stage.press("enter");
    stage.type_text("loud fan");
    stage.press("enter");
    assert_eq!(wishes(&stage), [] as [Wish; 0], "another name");
    stage.press("tab ctrl-u");
    stage.type_text("infer-0001");
    assert!(
        stage.text().contains("binnacle host retire infer-0001"),
        "{}",
        stage.text()
    );
    stage.press("tab enter");
    let wish = Wish::Retire {
        host: "infer-0001".into(),
        reason: "loud fan".into(),
    };
    assert_eq!(wishes(&stage), [wish]);
}

#[test]
fn a_key_that_is_held_down_confirms_nothing() {
    let mut stage = Stage::connected("hosts", (100, 30));
    let mut glances = stage::glances(3);
    glances.hosts[0].status = binnacle_core::view::Status::Retired;
    stage.tell(Msg::Glances(glances));
    stage.press("a m");
    stage.tell(Msg::Seen);
    stage.tell(Msg::Repeat("y".parse().unwrap()));
    stage.press("enter");
    assert_eq!(wishes(&stage), [] as [Wish; 0]);
    stage.press("y");
    assert_eq!(wishes(&stage).len(), 1);
}

#[test]
fn what_cannot_be_done_is_shown_with_its_reason() {
    let mut stage = full((120, 40));
    stage.lose();
    stage.press("a");
    assert!(
        stage.text().contains("the hub is not connected"),
        "{}",
        stage.text()
    );
    stage.press("t");
    assert!(stage.model.overlay.is_some(), "the menu stays");
    stage.press("esc esc");
    let mut many = full((120, 40));
    many.press("space space a");
    assert!(
        many.text().contains("one host at a time"),
        "{}",
        many.text()
    );
}

#[test]
fn the_palette_finds_commands_hosts_and_views_by_name() {
    let mut stage = full((120, 40));
    stage.press(":");
    stage.type_text("recsave");
    stage.press("enter");
    assert!(stage.effects.contains(&Effect::Record));
    stage.press("?");
    stage.type_text("reverse sort");
    let text = stage.text();
    assert!(text.contains("no") || text.contains("sort"), "{text}");
    stage.press("esc ?");
    stage.type_text("the other way");
    stage.press("enter");
    assert!(
        stage.text().contains("sorted by HOST, greatest first"),
        "{}",
        stage.text()
    );
}

#[test]
fn keys_that_may_follow_are_shown_to_those_who_wait() {
    let mut stage = full((120, 40));
    stage.press("j j j g");
    assert!(
        !stage.text().contains("to the first row"),
        "{}",
        stage.text()
    );
    stage.wait(500_000);
    assert!(
        stage.text().contains("to the first row"),
        "{}",
        stage.text()
    );
    stage.press("g");
    assert!(
        stage.line(3).starts_with("▌ infer-0001"),
        "{}",
        stage.text()
    );
}

#[test]
fn an_unknown_key_says_where_to_find_the_known_ones() {
    let mut stage = full((100, 24));
    stage.press("%");
    assert!(
        stage
            .text()
            .contains("% does nothing here; ? shows every key"),
        "{}",
        stage.text()
    );
    stage.wait(9_000_000);
    assert!(!stage.text().contains("does nothing"), "{}", stage.text());
    stage.press("z");
    assert!(
        stage.text().contains("zoom does nothing here"),
        "{}",
        stage.text()
    );
    stage.press("j");
    stage.wait(9_000_000);
    stage.press("k k k k");
    assert!(!stage.text().contains("does nothing"), "{}", stage.text());
}

#[test]
fn the_past_is_shown_as_such_and_esc_comes_back() {
    let mut stage = full((120, 40));
    stage.effects.clear();
    stage.press("t");
    stage.type_text("2h");
    stage.press("enter");
    assert!(
        stage.line(0).contains("AT 01:11Z (2h ago)"),
        "{}",
        stage.text()
    );
    let at_us = NOW_US - 7_200_000_000;
    stage.answer(|question| {
        assert_eq!(*question, Question::Past { at_us });
        Ok(Answer::Past(stage::glances(7).into()))
    });
    assert!(stage.line(0).contains("7 hosts"), "{}", stage.text());
    assert!(
        stage
            .effects
            .contains(&Effect::Follow(Following::default())),
        "nothing is followed there"
    );
    stage.press(",");
    assert!(stage.line(0).contains("AT 01:10Z"), "{}", stage.text());
    stage.press("esc");
    assert!(stage.line(0).contains("412 hosts"), "{}", stage.text());
    stage.press("t");
    stage.type_text("tomorrow");
    stage.press("enter");
    assert!(stage.text().contains("is no time"), "{}", stage.text());
}

#[test]
fn a_frozen_display_stays_as_it_is() {
    let mut stage = full((120, 40));
    stage.press("P");
    stage.tell(Msg::Glances(stage::glances(5)));
    assert!(stage.line(0).contains("FROZEN"), "{}", stage.text());
    assert!(stage.line(0).contains("412 hosts"), "{}", stage.text());
    stage.press("P");
    assert!(stage.line(0).contains("5 hosts"), "{}", stage.text());
}

#[test]
fn what_is_opened_while_frozen_is_asked_once_and_then_holds_still() {
    let mut stage = full((120, 40));
    stage.press("P");
    stage.effects.clear();
    stage.press("enter");
    let host = |number: usize| {
        move |question: &Question| match question {
            Question::Listed(_)
            | Question::Lineage { .. }
            | Question::About { .. }
            | Question::Profile { .. }
            | Question::Distances { .. }
            | Question::Endpoints(_)
            | Question::Alerts(_) => Err("not asked here".into()),
            Question::Host { .. } => Ok(Answer::Host(Some(stage::row(number).into()))),
            Question::Latency { .. }
            | Question::HostLatency { .. }
            | Question::History { .. }
            | Question::Journal { .. }
            | Question::Past { .. } => Err("it is not asked for".to_owned()),
        }
    };
    assert!(stage.text().contains("Loading"), "{}", stage.text());
    stage.answer(host(1));
    let text = stage.text();
    assert!(text.contains("127.0.0.1:8000"), "{text}");
    assert!(text.contains("FROZEN") && text.contains("+ OK"), "{text}");
    stage.wait(60_000_000);
    stage.answer(host(11));
    assert!(!stage.text().contains("CRIT"), "{}", stage.text());
    stage.press("P");
    stage.answer(host(11));
    assert!(stage.text().contains("CRIT"), "{}", stage.text());
}

#[test]
fn what_comes_into_sight_while_frozen_is_filled_in_and_the_rest_stays() {
    let mut stage = Stage::with_hosts("hosts", (120, 40), 412);
    stage.tell(Msg::Hosts((1..30).map(stage::row).collect()));
    stage.press("P G");
    assert!(!stage.text().contains("38.2 ms"), "{}", stage.text());
    stage.tell(Msg::Hosts((380..=412).map(stage::row).collect()));
    assert!(stage.text().contains("38.2 ms"), "{}", stage.text());
    let shown = stage.text();
    let mut later = stage::row(412);
    later.traffic = None;
    stage.tell(Msg::Hosts(vec![later]));
    assert_eq!(stage.text(), shown);
}

#[test]
fn esc_takes_the_line_at_the_bottom_away_and_does_what_it_does() {
    let mut stage = full((120, 40));
    stage.press("/");
    stage.type_text("rack=3");
    stage.press("enter s");
    assert!(stage.text().contains("sorted by"), "{}", stage.text());
    stage.press("esc");
    assert!(!stage.text().contains("sorted by"), "{}", stage.text());
    assert!(stage.line(1).ends_with("412"), "{}", stage.text());
    stage.press("enter %");
    assert!(
        stage.text().contains("does nothing here"),
        "{}",
        stage.text()
    );
    stage.press("esc");
    assert_eq!(stage.model.screen().crumbs().len(), 1, "{}", stage.text());
}

#[test]
fn a_hub_whose_heart_beat_while_nothing_changed_was_heard_of_until_then() {
    let mut stage = full((120, 40));
    stage.wait(600_000_000);
    stage.tell(Msg::Link(crate::msg::Link::Lost {
        why: "the hub was silent for 5 s".into(),
        retry_us: stage.now_us + 2_000_000,
        heard_us: Some(stage.now_us - 5_000_000),
    }));
    assert!(stage.line(0).contains("STALE 5s"), "{}", stage.text());
}

#[test]
fn a_lost_hub_says_since_when_and_its_figures_stay() {
    let mut stage = full((120, 40));
    stage.wait(1_000_000);
    stage.lose();
    stage.wait(6_500_000);
    assert!(stage.line(0).contains("STALE 7s"), "{}", stage.text());
    assert!(stage.line(3).contains("~38.2 ms"), "{}", stage.text());
    stage.connect();
    assert!(stage.line(0).contains("LIVE"), "{}", stage.text());
    let followed = stage
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Follow(_)));
    assert_eq!(
        followed.count(),
        2,
        "the new connection is told what is on the screen"
    );
}

#[test]
fn a_late_answer_to_an_older_asking_is_dropped() {
    let mut stage = full((120, 40));
    let question = Question::Past { at_us: 0 };
    stage.model.data.ask(&question, 8, NOW_US);
    let late = Ok(Answer::Past(stage::glances(1).into()));
    stage.model.data.answer(&question, 7, late, NOW_US);
    assert!(stage.model.data.asked(&question).unwrap().answer.is_none());
}

#[test]
fn the_hint_teaches_six_keys_and_goes_away() {
    let mut setup = stage::setup("hosts", (120, 30));
    setup.hint = true;
    let mut stage = Stage::of(setup);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(5)));
    assert!(stage.text().contains("new? "), "{}", stage.text());
    assert_eq!(stage.model.hint.len(), HINT.len());
    stage.press("j / esc a esc : esc ? esc enter");
    stage.wait(10_000_000);
    assert!(!stage.text().contains("new? "), "{}", stage.text());
    let session = stage.model.session();
    assert_eq!(session.learned.len(), HINT.len());
}

#[test]
fn a_session_goes_on_where_it_ended() {
    let mut stage = full((120, 30));
    stage.press("/");
    stage.type_text("rack=3");
    stage.press("enter j");
    let session = stage.model.session();
    let mut setup = stage::setup("hosts", (120, 30));
    setup.open = None;
    setup.session = Some(session);
    let mut again = Stage::of(setup);
    again.connect();
    again.tell(Msg::Glances(stage::glances(412)));
    again.tell(Msg::Hosts((1..60).map(stage::row).collect()));
    assert_eq!(again.line(1), stage.line(1));
    assert!(
        again.line(4).starts_with("▌ infer-0012"),
        "{}",
        again.text()
    );
}

#[test]
fn another_configuration_takes_effect_and_a_wrong_one_does_not() {
    let mut stage = full((120, 30));
    let mut config = Config::default();
    config
        .keys
        .insert("filter".into(), vec!["F".to_owned().try_into().unwrap()]);
    stage.tell(Msg::Configured(Ok(Box::new(config.clone()))));
    stage.press("F");
    assert!(stage.model.overlay.is_some());
    stage.press("esc");
    config.keys.insert("nonsense".into(), Vec::new());
    stage.tell(Msg::Configured(Ok(Box::new(config))));
    assert!(stage.text().contains("nonsense"), "{}", stage.text());
    stage.press("F");
    assert!(stage.model.overlay.is_some(), "the keys before stay");
}

#[test]
fn control_c_twice_leaves_and_once_closes_what_is_open() {
    let mut stage = full((120, 30));
    stage.press("/");
    stage.press("ctrl-c");
    assert!(stage.model.overlay.is_none() && !stage.effects.contains(&Effect::Quit));
    stage.press("j ctrl-c");
    assert!(!stage.effects.contains(&Effect::Quit), "not twice in a row");
    stage.press("ctrl-c");
    assert!(stage.effects.contains(&Effect::Quit));
}

#[test]
fn a_terminal_that_is_too_small_says_so_and_takes_only_the_keys_that_leave() {
    let mut stage = full((39, 30));
    assert!(stage.line(0).contains("too small"), "{}", stage.text());
    stage.press("a");
    assert!(stage.model.overlay.is_none());
    stage.press("q");
    assert!(stage.effects.contains(&Effect::Quit));
}

#[test]
fn names_cannot_touch_the_terminal() {
    let mut stage = Stage::connected("hosts", (120, 30));
    let mut glances = stage::glances(2);
    glances.hosts[0].reason = "\u{1b}]0;owned\u{7}\u{202e}".into();
    glances.hosts[0].environment = "a\u{1b}[2Jb".into();
    stage.tell(Msg::Glances(glances));
    stage.press("c esc");
    let frame = draw::frame(&stage.model);
    let unsafe_cell = |cell: &&ratatui::buffer::Cell| {
        cell.symbol()
            .chars()
            .any(|letter| letter.is_control() || letter == '\u{202e}')
    };
    assert_eq!(frame.content.iter().find(unsafe_cell), None);
    assert!(stage.text().contains("\\u{1b}"), "{}", stage.text());
}
