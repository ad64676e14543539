//! Takes runs back from processes that are silent, and tells what else a process is to know of that looks after the store.
//!
//! As long as there is nothing to take back, this is one statement, since every process asks for it all the time.

use super::PostgresStore;
use super::failure::{DbResult, damaged};
use super::instances;
use super::pool::{WriteOptions, with_session};
use super::session::Session;
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{InstanceId, RecoverParams, Recovered, RouteId, Takeover};

const CALL_LOOK_AFTER: &str = include_str!("sql/call_look_after.sql");

/// What is to be looked after.
struct Look {
    /// Held runs whose key is free: a process may have died between ending a run and unblocking the next.
    unblocked: i64,
    suspects: Vec<RouteId>,
    has_events: bool,
    has_dead: bool,
    server_time: Millis,
}

/// `clock`: replaces the server's time in tests.
async fn look(session: &Session, clock: Option<Millis>, by: Option<InstanceId>) -> DbResult<Look> {
    let row = session.query_opt(CALL_LOOK_AFTER, &[&clock, &by]).await?;
    let row = row.ok_or_else(|| damaged("no row"))?;
    let unblocked: Option<i64> = row.try_get(0)?;
    Ok(Look {
        unblocked: unblocked.unwrap_or(0),
        suspects: row.try_get(1)?,
        has_events: row.try_get(2)?,
        has_dead: row.try_get(3)?,
        server_time: row.try_get(4)?,
    })
}

impl PostgresStore {
    pub(super) async fn recover_runs(&self, params: RecoverParams) -> Result<Recovered> {
        let mut look = self.look_after(&params).await?;
        let mut unblocked = look.unblocked;
        let mut total = Recovered::default();
        // Only its silence says that a process of another machine is dead.
        if look.has_dead && params.takeover == Takeover::ProvenOrSilent {
            self.recover_from_dead(&params, &mut total).await?;
            look = self.look_after(&params).await?;
            unblocked += look.unblocked;
        }
        total.suspects = look.suspects;
        total.has_events = look.has_events;
        total.server_time = Some(look.server_time);
        if unblocked > 0 || total.requeued > 0 {
            self.inner.scan_positions.runs_added();
            self.inner.wake();
        }
        Ok(total)
    }

    async fn look_after(&self, params: &RecoverParams) -> Result<Look> {
        let inner = self.inner_if_open()?;
        Ok(with_session!(inner.general, WriteOptions::ENGINE, |session| look(
            session,
            self.lease_now(),
            params.by
        )))
    }

    async fn recover_from_dead(&self, params: &RecoverParams, total: &mut Recovered) -> Result<()> {
        let inner = self.inner_if_open()?;
        let mut more = true;
        while more {
            let step = with_session!(inner.general, WriteOptions::ENGINE, |session| {
                instances::recover(session, self.lease_now(), params)
            });
            total.instances += step.found.instances;
            total.requeued += step.found.requeued;
            total.failed += step.found.failed;
            total.crashed.extend(step.found.crashed);
            total.failed_runs.extend(step.found.failed_runs);
            inner.apply_effects(step.after).await;
            more = step.more;
        }
        Ok(())
    }
}
