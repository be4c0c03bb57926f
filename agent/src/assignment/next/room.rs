//! Whether a version finds room in memory beside those that are loaded, and what makes room.
//!
//! What a version takes is what the server grew by when it was loaded, and before that at least
//! its files. Versions on a route, and those that a route goes back to, come first; what is only
//! kept warm goes for them, the last of the hub's order first, and does not come back while
//! there is no room.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Phase, Place};
use crate::assignment::{Assignment, Version};

/// Why a version is not loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// What it takes.
    pub needs: u64,
    /// What is left.
    pub left: u64,
    /// What all may take together.
    pub limit: u64,
}

/// In words: `no room in memory: it takes 1.2 GB, of 8.0 GB 0.4 GB are left`.
impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        let (needs, left, limit) = (mb(self.needs), self.left / 1_000_000, mb(self.limit));
        write!(
            f,
            "no room in memory: it takes {needs} MB, and of {limit} MB for versions {left} MB are \
             left"
        )
    }
}

/// What comes of wanting to load a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fit<'a> {
    /// It may be loaded.
    Fits,
    /// Once these have gone; none where others are on their way out already.
    After(Vec<&'a Version>),
    /// It may not, as things are.
    No(NoRoom),
}

/// Whether `version` may be loaded with so many bytes for all. `bound` may not go for it.
pub(super) fn fit<'a>(
    version: &Version,
    places: &'a BTreeMap<Version, Place>,
    assignment: &Assignment,
    bound: &BTreeSet<&Version>,
    limit: u64,
) -> Fit<'a> {
    let sum = |wanted: &dyn Fn(Phase) -> bool| {
        let all = places.values().filter(|place| wanted(place.phase));
        all.fold(0_u64, |sum, place| sum.saturating_add(place.bytes))
    };
    let leaves = |phase| phase == Phase::Draining;
    let stays = |phase| matches!(phase, Phase::Loading | Phase::Warming | Phase::Ready);
    let (staying, leaving) = (sum(&stays), sum(&leaves));
    let needs = places.get(version).map_or(0, |place| place.bytes);
    // What is kept warm leaves room for what is bound and not loaded yet: else each would make the
    // other one go, over and over.
    let reserved = match bound.contains(version) {
        true => 0,
        false => places
            .iter()
            .filter(|(one, place)| {
                bound.contains(*one) && !stays(place.phase) && !leaves(place.phase)
            })
            .fold(0_u64, |sum, (_, place)| sum.saturating_add(place.bytes)),
    };
    let wanted = needs.saturating_add(reserved);
    let fits = |taken: u64| taken.saturating_add(wanted) <= limit;
    if fits(staying.saturating_add(leaving)) {
        return Fit::Fits;
    }
    let none = Fit::No(NoRoom {
        needs,
        left: limit.saturating_sub(staying.saturating_add(leaving).saturating_add(reserved)),
        limit,
    });
    if fits(staying) {
        return Fit::After(Vec::new());
    }
    if !bound.contains(version) {
        return none;
    }
    let rank = |version: &Version| {
        let named = assignment.versions.iter();
        let at = named
            .map(|wanted| &wanted.version)
            .position(|one| one == version);
        std::cmp::Reverse(at.unwrap_or(usize::MAX))
    };
    let spare = |(version, place): &(&Version, &Place)| {
        place.phase == Phase::Ready && place.ours && place.rested && !bound.contains(version)
    };
    let mut spares: Vec<(&Version, &Place)> = places.iter().filter(spare).collect();
    spares.sort_by_key(|(version, _)| rank(version));
    let (mut taken, mut gone) = (staying, Vec::new());
    for (spare, place) in spares {
        taken = taken.saturating_sub(place.bytes);
        gone.push(spare);
        if fits(taken) {
            return Fit::After(gone);
        }
    }
    none
}
