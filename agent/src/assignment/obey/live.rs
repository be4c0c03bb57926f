//! Routes as the proxy has them: built from what stands, swapped in one piece, and remembered
//! until the last request on an earlier one has ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::held::Held;
use crate::assignment::{Route, Version};
use crate::proxy::routes::{self, Leg, Placed, Plan, Routes, WHOLE};
use crate::server::dialect::by_version;

/// The proxy's routes, and the legs of earlier ones.
#[derive(Debug)]
pub(super) struct Live {
    shared: Routes,
    routes: BTreeMap<Arc<str>, routes::Route>,
    switch_ns: BTreeMap<Arc<str>, u64>,
    retired: Vec<(Version, Weak<Leg>)>,
}

impl Live {
    pub(super) fn new(shared: Routes) -> Self {
        Self {
            shared,
            routes: BTreeMap::new(),
            switch_ns: BTreeMap::new(),
            retired: Vec::new(),
        }
    }

    /// Builds an endpoint's route; it is live with the next [`Self::swap`].
    pub(super) fn take_up(
        &mut self,
        endpoint: &Arc<str>,
        route: &Route,
        keeps: bool,
        held: &BTreeMap<Version, Held>,
    ) {
        let placed = |version: &Version| match held.get(version) {
            Some(held) => held.names.clone(),
            None => by_version(&version.model, &version.version),
        };
        match routes::Route::new(&plan(endpoint, route, keeps, placed)) {
            Ok(built) => {
                self.retire(endpoint);
                self.routes.insert(endpoint.clone(), built);
            }
            // Checked when the assignment was read, so that this is a fault of ours.
            Err(error) => tracing::error!(%error, "a route cannot be taken up"),
        }
    }

    /// Takes an endpoint away, with the next [`Self::swap`].
    pub(super) fn give_up(&mut self, endpoint: &Arc<str>) {
        self.retire(endpoint);
        self.routes.remove(endpoint);
        self.switch_ns.remove(endpoint);
    }

    /// The one moment at which requests change their ways.
    pub(super) fn swap(&self) {
        self.shared.replace(self.routes.values().cloned());
    }

    pub(super) fn switched(&mut self, endpoint: &Arc<str>, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.switch_ns.insert(endpoint.clone(), ns.max(1));
    }

    pub(super) fn switch_ns(&self, endpoint: &Arc<str>) -> u64 {
        self.switch_ns.get(endpoint).copied().unwrap_or(0)
    }

    fn retire(&mut self, endpoint: &Arc<str>) {
        self.retired.retain(|(_, leg)| leg.strong_count() > 0);
        let Some(route) = self.routes.get(endpoint) else {
            return;
        };
        for leg in route.legs() {
            if let Some(there) = leg.upgrade() {
                let version = Version {
                    model: there.model.clone(),
                    version: there.version.clone(),
                };
                self.retired.push((version, leg));
            }
        }
    }

    /// Earlier legs of a version: requests may still be on them.
    pub(super) fn legs_of(&self, version: &Version) -> Vec<Weak<Leg>> {
        let of = self.retired.iter().filter(|(of, _)| of == version);
        of.map(|(_, leg)| leg.clone()).collect()
    }
}

fn plan(
    endpoint: &Arc<str>,
    route: &Route,
    keeps: bool,
    placed: impl Fn(&Version) -> Placed,
) -> Plan {
    let weights = route.shares.iter();
    let pins = route.pins.iter();
    // One that is not ready yet fails its copies, which is counted, and nobody else's requests.
    let shadows = route.shadows.iter();
    Plan {
        endpoint: endpoint.clone(),
        weights: weights
            .map(|share| (placed(&share.version), share.weight))
            .collect(),
        pins: pins
            .map(|pin| (pin.header.clone(), pin.value.clone(), placed(&pin.version)))
            .collect(),
        sticky: route.sticky_header.clone(),
        seed: routes::seed(endpoint),
        shadows: shadows
            .map(|shadow| (placed(&shadow.version), shadow.weight))
            .collect(),
        keeps,
    }
}

/// `fraud@7 95 %`, for a person.
pub(super) fn shares(route: &Route) -> Vec<String> {
    let share = |version: &Version, weight: u32| {
        let percent = f64::from(weight) * 100.0 / f64::from(WHOLE);
        format!("{version} {percent} %")
    };
    let answering = route.shares.iter().filter(|of| of.weight > 0);
    answering.map(|of| share(&of.version, of.weight)).collect()
}
