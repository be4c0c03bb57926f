//! Whether a version finds room in memory beside those that are loaded, and what makes room.
//!
//! What a version takes is what the server grew by when it was loaded, and before that at least
//! its files: an estimate, so that it keeps nothing from serving that serves. Versions on a route,
//! and those that a route goes back to, come first; what is only kept warm goes for them, the last
//! of the hub's order first, and does not come back while there is no room.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use super::{Phase, Place, Serving};
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

/// In words: `no room in memory: it takes 1200 MB, and of 8000 MB for versions 400 MB are left`.
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

/// What is taken of the memory for versions.
pub(super) struct Room<'a> {
    assignment: &'a Assignment,
    places: &'a BTreeMap<Version, Place>,
    serving: &'a Serving<'a>,
    limit: u64,
    /// By what is loaded, or being loaded.
    staying: u64,
    /// By what is on its way out.
    leaving: u64,
    /// By what is bound and not loaded yet: what is kept warm leaves room for it, or each would
    /// make the other one go, over and over.
    reserved: u64,
}

impl<'a> Room<'a> {
    /// As things are, with so many bytes for all.
    pub(super) fn of(
        assignment: &'a Assignment,
        places: &'a BTreeMap<Version, Place>,
        serving: &'a Serving<'a>,
        limit: u64,
    ) -> Self {
        let (mut staying, mut leaving, mut reserved) = (0_u64, 0_u64, 0_u64);
        for (version, place) in places {
            let sum = match place.phase {
                Phase::Loading | Phase::Warming | Phase::Ready => &mut staying,
                Phase::Draining => &mut leaving,
                Phase::Absent
                | Phase::Fetching
                | Phase::Verifying
                | Phase::Fetched
                | Phase::Failed => match serving.bound.contains(version) {
                    true => &mut reserved,
                    false => continue,
                },
            };
            *sum = sum.saturating_add(place.bytes);
        }
        Self {
            assignment,
            places,
            serving,
            limit,
            staying,
            leaving,
            reserved,
        }
    }

    /// Whether a version may be loaded.
    pub(super) fn fit(&self, version: &Version) -> Fit<'a> {
        let needs = self.places.get(version).map_or(0, |place| place.bytes);
        let is_bound = self.serving.bound.contains(version);
        let reserved = if is_bound { 0 } else { self.reserved };
        let fits = |taken: u64| taken.saturating_add(needs).saturating_add(reserved) <= self.limit;
        let taken = self.staying.saturating_add(self.leaving);
        if fits(taken) {
            return Fit::Fits;
        }
        if fits(self.staying) {
            return Fit::After(Vec::new());
        }
        if is_bound {
            let (mut taken, mut gone) = (self.staying, Vec::new());
            for (spare, place) in self.spares() {
                taken = taken.saturating_sub(place.bytes);
                gone.push(spare);
                if fits(taken) {
                    return Fit::After(gone);
                }
            }
        }
        if self.serving.live.contains(version) {
            return Fit::Fits;
        }
        Fit::No(NoRoom {
            needs,
            left: self.limit.saturating_sub(taken.saturating_add(reserved)),
            limit: self.limit,
        })
    }

    /// What may go for others, what matters least first.
    fn spares(&self) -> Vec<(&'a Version, &'a Place)> {
        let spare = |(version, place): &(&Version, &Place)| {
            let is_bound = self.serving.bound.contains(*version);
            place.phase == Phase::Ready && place.ours && place.rested && !is_bound
        };
        let mut spares: Vec<(&Version, &Place)> = self.places.iter().filter(spare).collect();
        spares.sort_by_key(|(version, _)| {
            let named = self.assignment.versions.iter();
            let mut named = named.map(|wanted| &wanted.version);
            let place = named.position(|one| one == *version);
            Reverse(place.unwrap_or(usize::MAX))
        });
        spares
    }
}
