//! A claim that is made with an insert: a job that is due, and can be run here, is claimed with its dispatch.
//!
//! It is a round of claiming like any other, which takes the best that there is, so that order and limits are the same; it
//! only begins with a dispatch instead of with the news of it.

use super::claimer::{AskedClaim, Claimer};
use super::gate::RoundGuard;
use super::round::NextClaim;
use super::suspects::Turn;
use crate::engine::handler::Level;
use crate::engine::routing::Lane;
use crate::error::ErrorCode;
use crate::model::NewJob;
use crate::store::{ClaimParams, Claimed, Done};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

impl Claimer {
    /// A claim to be made with the insert of these jobs; `None`: they are not for now, not for this process, or a round is under
    /// way, which will hear of them. What it brings is started on the `runtime`.
    pub fn claim_with(self: &Arc<Self>, jobs: &[NewJob], runtime: &Handle) -> Option<(ClaimParams, Done<Claimed>)> {
        // A clock that is moved by hand has rounds that are made by hand.
        if self.manual_clock || !jobs.iter().all(|job| self.may_start(job)) {
            return None;
        }
        let instance = self.registration.id()?;
        if self.routing.pause_before_served() > Duration::ZERO || self.in_flight.busy() >= self.concurrency {
            return None;
        }
        let round = self.gate.try_round()?;
        if !self.gate.is_open() {
            return None;
        }
        let now = self.clock_jumps.try_now()?;
        let turn = self.turn(&self.routing.served());
        if turn != Turn::Others {
            return None;
        }
        let (params, mut asked) = self.ask(instance, now, turn)?;
        if params.group_slots.iter().all(|slots| *slots == 0) {
            return None;
        }
        // Whatever becomes of the answer.
        drop(self.registration.claiming());
        let (claimer, runtime) = (Arc::clone(self), runtime.clone());
        let claimed: Done<Claimed> = Box::new(move |claimed| match claimed {
            Ok(mut claimed) => {
                let _runtime = runtime.enter();
                if claimed.newest_route == asked.known {
                    asked.begun = claimed.runs.len();
                    for run in std::mem::take(&mut claimed.runs) {
                        claimer.executor.start_here(asked.instance, run);
                    }
                }
                runtime.spawn(claimer.take_direct(round, asked, claimed));
            }
            // The claimer's own round says what is the matter.
            Err(_) => claimer.gate.handlers_changed.notify_one(),
        });
        Some((params, claimed))
    }

    /// Whether it is due, and there is a handler for it here in the worker's slots.
    fn may_start(&self, job: &NewJob) -> bool {
        let is_due = job.recurrence.is_none() && job.due.is_none_or(|due| due <= job.created);
        is_due
            && self
                .routing
                .find(&job.route)
                .is_some_and(|registration| registration.lane == Lane::Jobs)
    }

    async fn take_direct(self: Arc<Self>, round: RoundGuard, asked: AskedClaim, mut claimed: Claimed) {
        // The claimer's own round looks at the clock before it moves them on.
        let has_series = !std::mem::take(&mut claimed.series).is_empty();
        let taken = match self.load_new_routes(&claimed, asked.known).await {
            Ok(()) => self.take(asked, claimed).await,
            Err(error) => Err(error),
        };
        drop(round);
        // The claimer's task sleeps by what its own last round came to. When something falls due it knows from then, and from the
        // news of whatever was written since.
        match taken.map(|round| round.next) {
            Ok(_) if has_series => self.gate.handlers_changed.notify_one(),
            Ok(NextClaim::WhenChanged {
                or_slot_frees: false, ..
            }) => {}
            Ok(NextClaim::WhenSlotFrees { .. }) => self.gate.filled.notify_one(),
            Ok(_) => self.gate.handlers_changed.notify_one(),
            Err(error) => {
                if error.code != ErrorCode::Closed {
                    self.context
                        .log(Level::Error, &format!("cannot claim jobs, will try again: {error}"));
                }
                self.gate.handlers_changed.notify_one();
            }
        }
    }
}
