//! Meanings and how they look: no other file names a colour.
//!
//! Colour only underlines what glyph and word say already. Without colour, what is selected
//! is reversed, what matters is bold, what is stale is dim. The palette is told apart by
//! people who do not tell red from green (Okabe and Ito, 2008).

use ratatui::style::{Color, Modifier, Style};

use crate::config::ThemeConfig;

/// What a cell means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Ordinary text and figures.
    Text,
    /// What can be overlooked: units, rules, figures of no interest.
    Quiet,
    /// Column titles and headings.
    Title,
    /// The object that is selected; reversed in every mode.
    Selected,
    /// A mark or a match: the one accent.
    Accent,
    /// All is well.
    Ok,
    /// Something is dark, and something still answers.
    Warn,
    /// Nothing answers.
    Crit,
    /// Unknown, silent, few.
    Unknown,
    /// Known once, not known to be so still.
    Stale,
    /// The strip of a protected environment; reversed in every mode.
    Protected,
    /// A key in the key bar.
    Key,
    /// The first series of a chart.
    First,
    /// The second series of a chart.
    Second,
    /// A heat map's cell, from 0 (nothing) to 7 (most).
    Heat(u8),
}

impl Meaning {
    /// The meaning of this name in a configuration.
    pub fn named(name: &str) -> Option<Self> {
        let named = [
            ("text", Self::Text),
            ("quiet", Self::Quiet),
            ("title", Self::Title),
            ("selected", Self::Selected),
            ("accent", Self::Accent),
            ("ok", Self::Ok),
            ("warn", Self::Warn),
            ("crit", Self::Crit),
            ("unknown", Self::Unknown),
            ("stale", Self::Stale),
            ("protected", Self::Protected),
            ("key", Self::Key),
            ("first", Self::First),
            ("second", Self::Second),
        ];
        named
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, meaning)| *meaning)
    }
}

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Colours {
    /// None: `NO_COLOR`, or a terminal without.
    None,
    /// The sixteen of every terminal.
    Ansi16,
    /// The 256 of xterm.
    Ansi256,
    /// 24 bits.
    True,
}

/// Whether the terminal's background is dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Background {
    /// Light letters on dark.
    Dark,
    /// Dark letters on light.
    Light,
}

/// Which letters the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Letters {
    /// All of them.
    Unicode,
    /// Those of 1963.
    Ascii,
}

/// Meanings → styles, for one terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    /// How many colours there are.
    pub colours: Colours,
    /// What lies behind them.
    pub background: Background,
    /// Which letters there are.
    pub letters: Letters,
    /// Colours that a person set.
    own: Vec<(Meaning, Color)>,
}

impl Theme {
    /// The theme of a terminal.
    pub fn new(colours: Colours, background: Background, letters: Letters) -> Self {
        Self {
            colours,
            background,
            letters,
            own: Vec::new(),
        }
    }

    /// The same with another colour for a meaning; without effect where there are no colours.
    pub fn with(mut self, meaning: Meaning, colour: Color) -> Self {
        self.own.retain(|(of, _)| *of != meaning);
        self.own.push((meaning, colour));
        self
    }

    /// The same as a person set it; a colour or a meaning that cannot be read is left out.
    pub fn configured(mut self, config: &ThemeConfig) -> Self {
        if config.ascii {
            self.letters = Letters::Ascii;
        }
        self.own.clear();
        for (name, colour) in &config.colours {
            if let (Some(meaning), Ok(colour)) = (Meaning::named(name), colour.parse()) {
                self.own.push((meaning, colour));
            }
        }
        self
    }

    /// How a meaning looks.
    pub fn style(&self, meaning: Meaning) -> Style {
        let style = Style::new().add_modifier(emphasis(meaning));
        let own = self.own.iter().find(|(of, _)| *of == meaning);
        let colour = match (self.colours, own) {
            (Colours::None, _) => None,
            (_, Some((_, colour))) => Some(*colour),
            (Colours::Ansi16, None) => sixteen(meaning),
            (Colours::Ansi256, None) => self.shade(meaning).map(|shade| shade.indexed),
            (Colours::True, None) => self.shade(meaning).map(|shade| shade.rgb),
        };
        match colour {
            Some(colour) => style.fg(colour),
            None => style,
        }
    }

    fn shade(&self, meaning: Meaning) -> Option<Shade> {
        let shade = |dark: (u32, u8), light: (u32, u8)| {
            let (rgb, indexed) = match self.background {
                Background::Dark => dark,
                Background::Light => light,
            };
            Some(Shade {
                rgb: Color::from_u32(rgb),
                indexed: Color::Indexed(indexed),
            })
        };
        match meaning {
            Meaning::Text | Meaning::Title | Meaning::Selected | Meaning::Protected => None,
            Meaning::Quiet | Meaning::Unknown => shade((0x8a_8a8a, 245), (0x6c_6c6c, 242)),
            Meaning::Stale => shade((0x9e_9e9e, 247), (0x76_7676, 243)),
            Meaning::Accent | Meaning::Key | Meaning::First => {
                shade((0x56_b4e9, 74), (0x00_5f87, 24))
            }
            Meaning::Ok => shade((0x00_9e73, 36), (0x00_5f5f, 23)),
            Meaning::Warn | Meaning::Second => shade((0xe6_9f00, 172), (0x87_5f00, 94)),
            Meaning::Crit => shade((0xff_5f5f, 203), (0xaf_0000, 124)),
            Meaning::Heat(level) => {
                let step = usize::from(level.min(7));
                let dark = HEAT_DARK.get(step).copied();
                let light = HEAT_LIGHT.get(step).copied();
                shade(dark.unwrap_or_default(), light.unwrap_or_default())
            }
        }
    }
}

struct Shade {
    rgb: Color,
    indexed: Color,
}

/// From dark to bright in even steps of lightness, so that the order shows without hue.
const HEAT_DARK: [(u32, u8); 8] = [
    (0x44_4444, 238),
    (0x3b_4b6b, 60),
    (0x35_5f8d, 61),
    (0x20_908d, 37),
    (0x35_b779, 72),
    (0x90_d743, 113),
    (0xe6_9f00, 172),
    (0xff_5f5f, 203),
];
const HEAT_LIGHT: [(u32, u8); 8] = [
    (0xbc_bcbc, 250),
    (0x87_afd7, 110),
    (0x5f_87d7, 68),
    (0x00_8787, 30),
    (0x00_875f, 29),
    (0x5f_8700, 64),
    (0x87_5f00, 94),
    (0xaf_0000, 124),
];

/// What a meaning looks like without any colour.
fn emphasis(meaning: Meaning) -> Modifier {
    match meaning {
        Meaning::Selected | Meaning::Protected => Modifier::REVERSED,
        Meaning::Title | Meaning::Crit | Meaning::Key => Modifier::BOLD,
        Meaning::Stale => Modifier::DIM,
        Meaning::Text
        | Meaning::Quiet
        | Meaning::Accent
        | Meaning::Ok
        | Meaning::Warn
        | Meaning::Unknown
        | Meaning::First
        | Meaning::Second
        | Meaning::Heat(_) => Modifier::empty(),
    }
}

fn sixteen(meaning: Meaning) -> Option<Color> {
    match meaning {
        Meaning::Text | Meaning::Title | Meaning::Selected | Meaning::Protected => None,
        // Bright black is invisible on some terminals' black: what is quiet stays plain.
        Meaning::Quiet | Meaning::Unknown | Meaning::Stale => None,
        Meaning::Accent | Meaning::Key | Meaning::First => Some(Color::Cyan),
        Meaning::Ok => Some(Color::Green),
        Meaning::Warn | Meaning::Second => Some(Color::Yellow),
        Meaning::Crit => Some(Color::Red),
        Meaning::Heat(0..=2) => None,
        Meaning::Heat(3..=4) => Some(Color::Cyan),
        Meaning::Heat(5..=6) => Some(Color::Yellow),
        Meaning::Heat(_) => Some(Color::Red),
    }
}
