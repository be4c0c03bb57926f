//! Data sets and feature sets: what models learn from, and the vectors that they are given.
//!
//! ```text
//!  Data sets                                                                        2
//!   DATA SET▴        OWNER     TEAM    VERSIONS  LATEST  STANDING
//! ▌ transactions     dana      data           3  2d ago
//! ```

use binnacle_core::view::{Reference, RegistryObject, SetItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};
use ratatui::layout::Rect;

use self::page::SetPage;
use self::version::SetVersionPage;
use crate::data::Known;
use crate::format;
use crate::keymap::Command;
use crate::question::registry::{Listing, Noun};
use crate::screen::models::{act, drawn};
use crate::screen::registry::{self, ago, beside, parts, words};
use crate::screen::{Action, Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::grid::Drawn;
use crate::widget::page::{Line, piece};
use crate::widget::paged::{Order, Paged};

mod page;
#[cfg(test)]
mod tests;
mod version;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Data sets.
    Data,
    /// Feature sets.
    Features,
}

impl Kind {
    /// The view's name.
    pub(super) fn view(self) -> &'static str {
        match self {
            Self::Data => "datasets",
            Self::Features => "featuresets",
        }
    }

    /// The view's title.
    fn title(self) -> &'static str {
        match self {
            Self::Data => "Data sets",
            Self::Features => "Feature sets",
        }
    }

    /// What commands call it.
    fn command(self) -> &'static str {
        match self {
            Self::Data => "dataset",
            Self::Features => "featureset",
        }
    }

    fn noun(self) -> Noun {
        match self {
            Self::Data => Noun::DataSets,
            Self::Features => Noun::FeatureSets,
        }
    }

    fn versions(self) -> Noun {
        match self {
            Self::Data => Noun::DataSetVersions,
            Self::Features => Noun::FeatureSetVersions,
        }
    }

    fn object(self, name: &str) -> Option<RegistryObject> {
        let name = name.parse().ok()?;
        Some(match self {
            Self::Data => RegistryObject::DataSet(name),
            Self::Features => RegistryObject::FeatureSet(name),
        })
    }

    fn version(self, version: Reference) -> RegistryObject {
        match self {
            Self::Data => RegistryObject::DataSetVersion(version),
            Self::Features => RegistryObject::FeatureSetVersion(version),
        }
    }
}

const ORDERS: &[Order] = &[
    Order {
        name: "name",
        title: "NAME",
        descending: false,
    },
    Order {
        name: "owner",
        title: "OWNER",
        descending: false,
    },
    Order {
        name: "versions",
        title: "VERSIONS",
        descending: true,
    },
    Order {
        name: "latest",
        title: "LATEST",
        descending: true,
    },
];

/// Opens data sets: all, one, or one version.
pub fn data(place: &Place) -> Box<dyn Screen> {
    open(Kind::Data, place)
}

/// Opens feature sets: all, one, or one version.
pub fn features(place: &Place) -> Box<dyn Screen> {
    open(Kind::Features, place)
}

fn open(kind: Kind, place: &Place) -> Box<dyn Screen> {
    match (place.object.as_str(), place.object.parse()) {
        ("", _) => {
            let mut table = Paged::new(Listing::of(kind.noun(), ""), ORDERS, &place.filter);
            if !place.selected.is_empty() {
                table.select(&place.selected);
            }
            Box::new(Sets { kind, table })
        }
        (_, Ok(one)) => version(kind, one),
        (name, Err(_)) => page(kind, name),
    }
}

/// The page of a set.
pub(super) fn page(kind: Kind, name: &str) -> Box<dyn Screen> {
    Box::new(SetPage::new(kind, name))
}

/// The page of a version of a set.
pub(super) fn version(kind: Kind, version: Reference) -> Box<dyn Screen> {
    Box::new(SetVersionPage::new(kind, version))
}

/// The list.
#[derive(Debug)]
struct Sets {
    kind: Kind,
    table: Paged,
}

#[rustfmt::skip]
fn columns<'a>() -> Vec<Drawn<'a, SetItem>> {
    vec![
        drawn("NAME", (20, Left, 0), 20,
            |row: &SetItem, _| (row.named.name.to_string(), Meaning::Text)),
        drawn("OWNER", (10, Left, 1), 6,
            |row, _| (shown(row.named.card.owner.as_str()), Meaning::Quiet)),
        drawn("TEAM", (10, Left, 3), 6,
            |row, _| (shown(row.named.card.team.as_str()), Meaning::Quiet)),
        drawn("VERSIONS", (8, Right, 0), 0,
            |row, _| (format::count(row.named.versions.into()), Meaning::Text)),
        drawn("LATEST", (8, Right, 0), 0, |row, look| match row.named.latest_at_us {
            Some(at_us) => (ago(at_us, look), Meaning::Text),
            None => ("–".into(), Meaning::Unknown),
        }),
        drawn("STANDING", (12, Left, 2), u16::MAX,
            |row, _| registry::standing(row.named.deprecated.as_ref())),
    ]
}

impl Sets {
    fn nothing(&self, known: &Known<'_, impl Sized>, look: &Look<'_>) -> Vec<Line> {
        let title = self.kind.title().to_lowercase();
        let text = |text: &str| vec![piece(text, Meaning::Text)];
        match (known, self.table.search(), self.kind) {
            (Known::Here(..), "", Kind::Data) => vec![
                text("No data set is registered yet. Register one from its file:"),
                words("  binnacle dataset register transactions --file transactions.parquet"),
                words("It is read here, profiled, and never sent anywhere but its profile."),
            ],
            (Known::Here(..), "", Kind::Features) => vec![
                text("No feature set is registered yet. Register one from a description:"),
                words("  binnacle featureset register fraud-features --file features.toml"),
            ],
            (Known::Here(..), _, _) => {
                vec![text("None matches the filter; esc shows all again.")]
            }
            (Known::Loading | Known::Broken(_), ..) => registry::waiting(known, &title, look),
        }
    }
}

impl Screen for Sets {
    fn place(&self) -> Place {
        let selected = self.table.selected();
        Place {
            view: self.kind.view().into(),
            object: String::new(),
            filter: self.table.search().into(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec![self.kind.title().into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let note = registry::note(self.table.total(), self.table.search(), 0);
        match look.at_us {
            Some(_) => format!("this list is of now  {note}"),
            None => note,
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        Wants {
            questions: self.table.wants(&beside(look)),
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        registry::table_offers(&[C::Open, C::Edit, C::Actions])
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        let row = self.table.chosen::<SetItem>(&beside(look));
        act::of_set(row.map(|row| &row.named), self.kind, look)
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let inner = beside(look);
        if let Some(steps) = self.table.on::<SetItem>(command, &inner) {
            return steps;
        }
        if command == Command::Edit {
            let row = self.table.chosen::<SetItem>(&inner);
            return act::edit_set(row.map(|row| &row.named), self.kind);
        }
        let selected = self.table.selected();
        let opened = selected.filter(|_| command == Command::Open);
        let opened = opened.map(|name| Step::Go(page(self.kind, name)));
        opened.into_iter().collect()
    }

    fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.table.set_search(text);
        self.learn(look);
        Ok(())
    }

    fn filter_text(&self) -> &str {
        self.table.search()
    }

    fn filter_words(&self) -> &'static str {
        "words, owner=dana, team=, tag=, standing=deprecated"
    }

    fn learn(&mut self, look: &Look<'_>) {
        self.table.learn::<SetItem>(&beside(look));
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        format!("binnacle {} list", self.kind.command())
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let (area, preview) = parts(look);
        let inner = beside(look);
        let known = self.table.known(&inner);
        if self.table.total().unwrap_or(0) == 0 {
            let below = Rect {
                y: area.y + area.height.min(1),
                height: area.height.saturating_sub(1),
                ..area
            };
            return registry::draw_lines(&self.nothing(&known, look), look, below, buf);
        }
        self.table.draw(columns(), &inner, area, buf);
        if let (Some(preview), Some(row)) = (preview, self.table.rested::<SetItem>(&inner)) {
            let mut lines = vec![vec![piece(row.named.name.to_string(), Meaning::Title)]];
            lines.extend(registry::card(&row.named, look));
            registry::draw_lines(&lines, look, preview, buf);
        }
    }
}
