//! A dispatched job with the number of its route.

use super::routes::RouteRef;
use crate::clock::Millis;
use crate::model::NewJob;
use crate::store::{ReplaceSeries, RouteId, RouteMark};

/// A job with the number of its route.
#[derive(Clone, Copy)]
pub(super) struct RoutedJob<'a> {
    pub(super) job: &'a NewJob,
    pub(super) route: RouteId,
    /// When the row of the route was added that the number was read from.
    pub(super) mark: RouteMark,
    /// What becomes of a series that it replaces.
    pub(super) replaced: ReplaceSeries,
}

impl<'a> RoutedJob<'a> {
    pub(super) fn new(job: &'a NewJob, route: RouteRef, replaced: ReplaceSeries) -> Self {
        Self {
            job,
            route: route.id,
            mark: route.mark,
            replaced,
        }
    }
}

/// When its first run is due.
pub(super) fn first_due(job: &NewJob) -> Option<Millis> {
    job.due.or_else(|| job.recurrence.is_none().then_some(job.created))
}
