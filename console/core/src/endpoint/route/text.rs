//! Routes as text: what is shown of them, and what somebody types.
//!
//! ```text
//! fraud@8
//! fraud@7 90%, fraud@8 10%, shadow fraud@9 5%, x-cohort=beta to fraud@8, sticky by x-user
//! ```

use std::fmt;
use std::str::FromStr;

use super::{NotARoute, Parts, Pin, Route, Shadow, Split, WHOLE, percent};
use crate::registry::{Line, Reference};

/// What takes a sticky header away.
const NOTHING: &str = "none";

/// A route as somebody said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The route.
    pub route: Route,
    /// Nothing was said of a sticky header: that of what serves now stays.
    pub keeps_sticky: bool,
}

/// The same text as [`Display`](fmt::Display) of a route makes; a version without a share has all.
impl FromStr for Spoken {
    type Err = NotARoute;

    fn from_str(text: &str) -> Result<Self, NotARoute> {
        let mut parts = Parts::default();
        let mut keeps_sticky = true;
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let unknown = || NotARoute::Unknown(part.to_owned());
            let line = |text: &str| Line::parse(text.trim()).map_err(|_| unknown());
            if let Some(header) = part.strip_prefix("sticky by ") {
                keeps_sticky = false;
                parts.sticky_header = match header.trim() {
                    NOTHING => Line::default(),
                    header => line(header)?,
                };
            } else if let Some((pin, version)) = part.rsplit_once(" to ") {
                let (header, value) = pin.split_once('=').ok_or_else(unknown)?;
                let header = line(header)?;
                if !parts.pin_header.is_empty() && parts.pin_header != header {
                    return Err(NotARoute::OneHeader);
                }
                parts.pin_header = header;
                parts.pins.push(Pin {
                    value: line(value)?,
                    version: reference(version).ok_or_else(unknown)?,
                });
            } else if let Some(shadow) = part.strip_prefix("shadow ") {
                let (version, share) = shared(shadow).ok_or_else(unknown)?;
                parts.shadows.push(Shadow { version, share });
            } else {
                let (version, weight) = shared(part).ok_or_else(unknown)?;
                parts.versions.push(Split { version, weight });
            }
        }
        Ok(Self {
            route: Route::parse(parts)?,
            keeps_sticky,
        })
    }
}

/// `fraud@8`, or `fraud@8 10%`.
fn shared(text: &str) -> Option<(Reference, u32)> {
    let (version, share) = match text.trim().split_once(' ') {
        Some((version, share)) => (version, weight(share.trim())?),
        None => (text.trim(), WHOLE),
    };
    Some((reference(version)?, share))
}

/// `2.5%` in 1/10,000; `None` for what is no share or finer than that.
pub fn weight(text: &str) -> Option<u32> {
    let share: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
    let weight = share * f64::from(WHOLE) / 100.0;
    let whole = weight.round();
    let fits = (0.0..=f64::from(WHOLE)).contains(&whole) && (weight - whole).abs() < 1e-6;
    fits.then_some(whole as u32)
}

fn reference(text: &str) -> Option<Reference> {
    text.trim().parse().ok()
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let mut gap = "";
        for split in &parts.versions {
            let share = percent(split.weight.into());
            write!(f, "{gap}{} {share}", split.version)?;
            gap = ", ";
        }
        for shadow in &parts.shadows {
            let share = percent(shadow.share.into());
            write!(f, "{gap}shadow {} {share}", shadow.version)?;
        }
        for pin in &parts.pins {
            let header = &parts.pin_header;
            write!(f, "{gap}{header}={} to {}", pin.value, pin.version)?;
        }
        if !parts.sticky_header.is_empty() {
            write!(f, "{gap}sticky by {}", parts.sticky_header)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(text: &str) {
        let spoken: Spoken = text.parse().unwrap();
        assert_eq!(spoken.route.to_string(), text);
        assert_eq!(spoken.keeps_sticky, !text.contains("sticky"));
    }

    #[test]
    fn what_is_shown_can_be_typed() {
        same("fraud@8 100%");
        same("fraud@7 90%, fraud@8 10%");
        same("fraud@7 99.99%, fraud@8 0.01%");
        same("fraud@7 100%, shadow fraud@8 5%");
        same("fraud@7 90%, fraud@8 10%, x-cohort=beta two to fraud@8, sticky by x-user");
        same("a@1 50%, b@1 50%, x=1 to a@1, x=2 to b@1");
        let short: Spoken = " fraud@8 ".parse().unwrap();
        assert_eq!(short.route, Route::whole("fraud@8".parse().unwrap()));
        let none: Spoken = "fraud@8, sticky by none".parse().unwrap();
        assert_eq!((none.route, none.keeps_sticky), (short.route, false));
    }

    #[test]
    fn what_is_no_route_is_refused_with_its_part() {
        let refused = |text: &str| text.parse::<Spoken>().unwrap_err().to_string();
        assert!(refused("").contains("at least one version"));
        for part in [
            "fraud",
            "fraud@x",
            "fraud@8 ten",
            "fraud@8 0.001%",
            "shadow",
            "beta to m@1",
        ] {
            let said = refused(&format!("fraud@7, {part}"));
            assert!(said.contains(part), "{said}");
        }
        assert!(refused("a@1, x=1 to a@1, y=2 to a@1").contains("one header"));
        for header in ["x user", "x:user", "ü"] {
            let said = refused(&format!("a@1, sticky by {header}"));
            assert!(said.contains("header"), "{said}");
        }
        let said = refused("a@1, x=ü to a@1");
        assert!(said.contains("value"), "{said}");
    }
}
