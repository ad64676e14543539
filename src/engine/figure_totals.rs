//! What this process has counted since it began, by route, of a bounded number of routes.
//!
//! Plain data; what locks it is [`FigureCounts`](super::figures::FigureCounts). Invariant: a route that has a place of its own keeps
//! it, and one that found none never gets one, so that nothing that is told becomes less.

use crate::model::Figures;
use crate::store::RouteId;
use std::collections::HashMap;

/// Most routes that are told apart: those that this process met first.
pub const MAX_ROUTES: usize = 1_000;

/// What was counted of a route, or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FigureTotal {
    /// As in figures over time.
    pub figures: Figures,
    /// Attempts that were handed back, which figures over time know nothing of.
    pub released: u64,
}

/// What was counted, by route.
#[derive(Clone, Debug, Default)]
pub struct FigureTotals {
    by_route: Vec<(RouteId, FigureTotal)>,
    places: HashMap<RouteId, usize>,
    /// Of all routes that found no place.
    rest: FigureTotal,
}

impl FigureTotals {
    /// What is counted of a route: its own, or that of the rest.
    pub(super) fn of(&mut self, route: RouteId) -> &mut FigureTotal {
        let next = self.by_route.len();
        let place = match self.places.get(&route) {
            Some(place) => *place,
            None if next < MAX_ROUTES => {
                self.places.insert(route, next);
                self.by_route.push((route, FigureTotal::default()));
                next
            }
            None => return &mut self.rest,
        };
        match self.by_route.get_mut(place) {
            Some((_, total)) => total,
            None => &mut self.rest,
        }
    }

    /// Those of routes that are told apart, in an order in which each keeps its place.
    pub fn by_route(&self) -> impl Iterator<Item = (RouteId, &FigureTotal)> {
        self.by_route.iter().map(|(route, total)| (*route, total))
    }

    /// That of all other routes. `None`: there is room for all.
    #[must_use]
    pub fn rest(&self) -> Option<&FigureTotal> {
        (self.by_route.len() >= MAX_ROUTES).then_some(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_beyond_the_bound_are_counted_together_and_the_others_keep_their_places() {
        let mut totals = FigureTotals::default();
        let routes = || (1..=MAX_ROUTES as i64 + 5).map(RouteId::new);
        assert!(totals.rest().is_none());
        for route in routes().chain(routes()) {
            totals.of(route).released += 1;
        }
        let told: Vec<_> = totals
            .by_route()
            .map(|(route, total)| (route, total.released))
            .collect();
        let expected: Vec<_> = routes().take(MAX_ROUTES).map(|route| (route, 2)).collect();
        assert_eq!(told, expected);
        assert_eq!(totals.rest().map(|rest| rest.released), Some(10));
    }
}
