//! Drawing what lies over a screen: at its lower edge, over its full width, without a box.

use binnacle_core::view::shown;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use tui_input::Input;

use crate::draw::Regions;
use crate::overlay::{Asking, Hit, Overlay, Palette};
use crate::screen::{Action, Look, Weight};
use crate::theme::Meaning;
use crate::widget::line;

/// Draws what lies over the screen.
pub fn draw(
    overlay: &Overlay,
    filter_words: &str,
    look: &Look<'_>,
    regions: &Regions,
    buf: &mut Buffer,
) {
    match overlay {
        Overlay::Filter { input, wrong, .. } => {
            prompt(
                "/",
                input,
                wrong.as_deref().unwrap_or(filter_words),
                wrong,
                look,
                regions,
                buf,
            );
        }
        Overlay::Time { input, wrong } => {
            let help = "03:12, 45m, 2h ago; empty for now; , and . step by a minute";
            prompt(
                "time: ",
                input,
                wrong.as_deref().unwrap_or(help),
                wrong,
                look,
                regions,
                buf,
            );
        }
        Overlay::Palette(palette) => draw_palette(palette, look, regions, buf),
        Overlay::Actions { actions, at } => draw_actions(actions, *at, look, regions, buf),
        Overlay::Columns { columns, at } => draw_columns(columns, *at, look, regions, buf),
        Overlay::Confirm(asking) => draw_asking(asking, look, regions.body, buf),
        Overlay::Form(filling) => filling.draw(look, regions.body, buf),
        Overlay::Review(review) => review.draw(look, regions.body, buf),
        Overlay::Choose(choosing) => choosing.draw(look, regions.body, buf),
        Overlay::Plan(planning) => planning.draw(look, regions.body, buf),
        Overlay::Text { title, lines } => {
            let lines = lines
                .iter()
                .map(|text| vec![(shown(text), look.style(Meaning::Text))]);
            list(
                title,
                "any key closes",
                lines,
                usize::MAX,
                look,
                regions.body,
                buf,
            );
        }
    }
}

fn draw_actions(
    actions: &[Action],
    at: usize,
    look: &Look<'_>,
    regions: &Regions,
    buf: &mut Buffer,
) {
    let lines = actions.iter().map(|action| {
        let (style, why) = match &action.asks {
            Ok(_) => (look.style(Meaning::Text), String::new()),
            Err(why) => (look.style(Meaning::Quiet), format!("not now: {why}")),
        };
        let key = format!("<{}> ", action.key);
        vec![
            (key, look.style(Meaning::Key)),
            (format!("{:<16}", action.words), style),
            (why, look.style(Meaning::Quiet)),
        ]
    });
    list(
        "Actions",
        "enter or the letter; esc closes",
        lines,
        at,
        look,
        regions.body,
        buf,
    );
}

fn draw_columns(
    columns: &[(&'static str, bool)],
    at: usize,
    look: &Look<'_>,
    regions: &Regions,
    buf: &mut Buffer,
) {
    let lines = columns.iter().map(|(title, is_shown)| {
        let mark = if *is_shown { "[x] " } else { "[ ] " };
        vec![(format!("{mark}{title}"), look.style(Meaning::Text))]
    });
    list(
        "Columns",
        "space shows or hides; enter closes",
        lines,
        at,
        look,
        regions.body,
        buf,
    );
}

/// Empties an area, so that nothing shines through.
pub(crate) fn clear(area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
}

fn prompt(
    sign: &str,
    input: &Input,
    help: &str,
    wrong: &Option<String>,
    look: &Look<'_>,
    regions: &Regions,
    buf: &mut Buffer,
) {
    clear(regions.bar, buf);
    let meaning = if wrong.is_some() {
        Meaning::Warn
    } else {
        Meaning::Quiet
    };
    let mut pieces = vec![(format!(" {sign}"), look.style(Meaning::Key))];
    pieces.extend(typed(input, true));
    pieces.push((format!("   {}", shown(help)), look.style(meaning)));
    line::draw_pieces(&pieces, regions.bar, buf);
}

/// The text of a line that is typed, with its cursor reversed where it is.
pub(super) fn typed(input: &Input, has_cursor: bool) -> Vec<(String, Style)> {
    let text = input.value();
    let at = text
        .char_indices()
        .nth(input.cursor())
        .map_or(text.len(), |(at, _)| at);
    let (before, after) = text.split_at(at);
    let mut after = after.chars();
    let under = after.next().unwrap_or(' ').to_string();
    let cursor = match has_cursor {
        true => Style::new().add_modifier(Modifier::REVERSED),
        false => Style::new(),
    };
    vec![
        (shown(before), Style::new()),
        (shown(&under), cursor),
        (shown(after.as_str()), Style::new()),
    ]
}

pub(super) type Pieces = Vec<(String, Style)>;

/// A list at the lower edge of an area, scrolled so that the selected line is visible.
pub(super) fn list(
    title: &str,
    help: &str,
    lines: impl ExactSizeIterator<Item = Pieces>,
    at: usize,
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    let most = usize::from(area.height.saturating_sub(1));
    let count = lines.len().min(most);
    let height = u16::try_from(count + 1)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let place = Rect {
        y: area.bottom().saturating_sub(height),
        height,
        ..area
    };
    clear(place, buf);
    let heading = [
        (format!(" {title}  "), look.style(Meaning::Title)),
        (help.to_owned(), look.style(Meaning::Quiet)),
    ];
    line::draw_pieces(&heading, place, buf);
    let first = match at < lines.len() {
        true => (at + 1).saturating_sub(count),
        false => 0,
    };
    for (row, (number, mut pieces)) in lines.enumerate().skip(first).take(count).enumerate() {
        let mark = if number == at { " ▌ " } else { "   " };
        pieces.insert(0, (mark.into(), look.style(Meaning::Accent)));
        let place = line::row(place, u16::try_from(row + 1).unwrap_or(u16::MAX));
        line::draw_pieces(&pieces, place, buf);
    }
}

fn draw_palette(palette: &Palette, look: &Look<'_>, regions: &Regions, buf: &mut Buffer) {
    let lines = palette.hits.iter().map(|hit| match hit {
        Hit::Command(binding) => {
            let keys = look.keys.all_keys_of(binding.command).join(", ");
            vec![
                (format!("{keys:<14} "), look.style(Meaning::Key)),
                (format!("{:<14} ", binding.name), look.style(Meaning::Text)),
                (binding.help.to_owned(), look.style(Meaning::Quiet)),
            ]
        }
        Hit::Place(kind, place) => vec![
            (format!("{kind:<14} "), look.style(Meaning::Quiet)),
            (shown(&place.object), look.style(Meaning::Text)),
        ],
    });
    let (title, help) = match palette.is_help {
        true => ("Keys", "type to search; enter runs one; esc closes"),
        false => (
            "Commands, views, hosts, models",
            "type to search; enter goes",
        ),
    };
    list(title, help, lines, palette.at, look, regions.body, buf);
    let wrong = palette.hits.is_empty().then(|| "nothing fits".to_owned());
    let help = wrong.as_deref().unwrap_or("");
    let sign = if palette.is_help { "?" } else { ":" };
    prompt(sign, &palette.input, help, &wrong, look, regions, buf);
}

fn draw_asking(asking: &Asking, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let confirm = &asking.confirm;
    let quiet = look.style(Meaning::Quiet);
    let mut lines: Vec<Pieces> = Vec::new();
    for (name, text) in &confirm.facts {
        lines.push(vec![
            (format!("{name:<14}"), quiet),
            (shown(text), look.style(Meaning::Text)),
        ]);
    }
    lines.push(vec![
        ("command       ".into(), quiet),
        (shown(&confirm.wish.command()), quiet),
    ]);
    lines.push(Vec::new());
    match &confirm.weight {
        Weight::Yes => lines.push(vec![
            ("press ".into(), Style::new()),
            ("<y>".into(), look.style(Meaning::Key)),
            (" to do it".into(), Style::new()),
        ]),
        Weight::Reason => {
            let mut first = vec![("reason: ".into(), Style::new())];
            first.extend(typed(&asking.reason, true));
            first.push(("   <ctrl-e> in $EDITOR".into(), quiet));
            let ready = match asking.is_ready() {
                true => "<enter> does it",
                false => "a reason is needed: it stays in the journal",
            };
            lines.extend([first, vec![(ready.into(), quiet)]]);
        }
        Weight::Name(name) => {
            let ask = format!("type {} to go on: ", shown(name));
            let mut first = vec![(ask, Style::new())];
            first.extend(typed(&asking.name, !asking.at_reason));
            let mut second = vec![("reason: ".into(), Style::new())];
            second.extend(typed(&asking.reason, asking.at_reason));
            second.push(("   <ctrl-e> in $EDITOR".into(), quiet));
            lines.extend([first, second]);
            let ready = match asking.is_ready() {
                true => "<enter> does it",
                false => "both are needed; <tab> goes between them",
            };
            lines.push(vec![(ready.into(), quiet)]);
        }
    }
    let help = match asking.is_seen {
        true => "<esc> leaves everything as it is",
        false => "…",
    };
    let title = shown(&confirm.title);
    list(&title, help, lines.into_iter(), usize::MAX, look, area, buf);
}
