//! What the environment says of the terminal: colours, letters, background.

use binnacle_tui::theme::{Background, Colours, Letters};

/// One variable of the environment; an empty one is as good as none.
pub(crate) type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How many colours there are: no-color.org, then what terminals say of themselves.
pub(crate) fn colours(variable: Variable<'_>) -> Colours {
    let term = variable("TERM").unwrap_or_default();
    let says = |name: &str, value: &str| variable(name).as_deref() == Some(value);
    if variable("NO_COLOR").is_some() || says("CLICOLOR", "0") || is_dumb(&term) {
        return Colours::None;
    }
    // GNU screen passes its surroundings' COLORTERM on, and shows 256 colours all the same.
    let is_screen = term.starts_with("screen") && variable("TMUX").is_none();
    let is_true = says("COLORTERM", "truecolor") || says("COLORTERM", "24bit");
    let names = [
        "kitty",
        "ghostty",
        "alacritty",
        "foot",
        "wezterm",
        "contour",
        "direct",
    ];
    if !is_screen && (is_true || names.iter().any(|name| term.contains(name))) {
        return Colours::True;
    }
    let is_rich = term.contains("256") || variable("TERM_PROGRAM").is_some();
    match is_rich {
        true => Colours::Ansi256,
        false if term.starts_with("vt") => Colours::None,
        false => Colours::Ansi16,
    }
}

/// Whether there is nothing but lines of letters.
pub(crate) fn is_dumb(term: &str) -> bool {
    term.is_empty() || term == "dumb"
}

/// Whether this terminal may be asked questions: the kernel's own console echoes some.
pub(crate) fn answers(variable: Variable<'_>) -> bool {
    variable("TERM").is_some_and(|term| !is_dumb(&term) && term != "linux")
}

/// Which letters there are: those of the locale, as POSIX says which variable counts.
pub(crate) fn letters(variable: Variable<'_>) -> Letters {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable);
    let locale = locale.unwrap_or_default().to_lowercase();
    match locale.contains("utf-8") || locale.contains("utf8") {
        true => Letters::Unicode,
        false => Letters::Ascii,
    }
}

/// What lies behind the letters, as some terminals say it; dark where none does, as most are.
pub(crate) fn background(variable: Variable<'_>) -> Background {
    let told = variable("COLORFGBG").unwrap_or_default();
    match told
        .rsplit(';')
        .next()
        .and_then(|colour| colour.parse::<u8>().ok())
    {
        Some(7 | 9..=15) => Background::Light,
        Some(_) | None => Background::Dark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(variables: &[(&str, &str)], ask: impl Fn(Variable<'_>) -> T) -> T {
        ask(&|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn colours_are_those_that_the_terminal_shows() {
        let cases: [(&[(&str, &str)], Colours); 9] = [
            (&[("TERM", "xterm")], Colours::Ansi16),
            (&[("TERM", "xterm-256color")], Colours::Ansi256),
            (
                &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")],
                Colours::True,
            ),
            (&[("TERM", "xterm-kitty")], Colours::True),
            (
                &[("TERM", "screen"), ("COLORTERM", "truecolor")],
                Colours::Ansi16,
            ),
            (
                &[
                    ("TERM", "screen-256color"),
                    ("COLORTERM", "24bit"),
                    ("TMUX", "/tmp/t"),
                ],
                Colours::True,
            ),
            (&[("TERM", "xterm-kitty"), ("NO_COLOR", "1")], Colours::None),
            (&[("TERM", "vt100")], Colours::None),
            (&[], Colours::None),
        ];
        for (variables, expected) in cases {
            assert_eq!(with(variables, |v| colours(v)), expected, "{variables:?}");
        }
    }

    #[test]
    fn letters_are_those_of_the_locale() {
        let told = |variables: &[(&str, &str)]| with(variables, |v| letters(v));
        assert_eq!(told(&[("LANG", "de_DE.UTF-8")]), Letters::Unicode);
        assert_eq!(told(&[("LANG", "C.utf8")]), Letters::Unicode);
        assert_eq!(
            told(&[("LANG", "C.UTF-8"), ("LC_ALL", "C")]),
            Letters::Ascii
        );
        assert_eq!(told(&[("LANG", "en_US.ISO-8859-1")]), Letters::Ascii);
        assert_eq!(told(&[]), Letters::Ascii);
    }
}
