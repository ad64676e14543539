//! Whether a dispatch's session is let in: its token's signature and time, and whether it was revoked.

use super::dispatch::Dispatch;
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Error, Problem, Result};

/// Lets a dispatch in. One without a session, or with one that nobody here can check, costs nothing.
pub(super) async fn admit(engine: &Engine, dispatch: Dispatch, now: Millis) -> Result<Dispatch> {
    if let Some(session) = &dispatch.job.options.session {
        let product = &dispatch.job.route.product;
        let sessions = &engine.config.sessions;
        sessions.verify(&*engine.store, product, session, Some(now)).await?;
    }
    Ok(dispatch)
}

/// The same for the dispatches of a batch: all or none.
pub(super) async fn admit_all(engine: &Engine, dispatches: Vec<Dispatch>, now: Millis) -> Result<Vec<Dispatch>> {
    let mut admitted = Vec::with_capacity(dispatches.len());
    for (index, dispatch) in dispatches.into_iter().enumerate() {
        admitted.push(
            admit(engine, dispatch, now)
                .await
                .map_err(|error| indexed(index, error))?,
        );
    }
    Ok(admitted)
}

fn indexed(index: usize, error: Error) -> Error {
    let details = error.details.into_iter();
    let details = details.map(|problem| Problem::new(format!("[{index}].{}", problem.path), problem.message));
    let details: Vec<Problem> = details.collect();
    if details.is_empty() {
        return Error::new(error.code, format!("[{index}]: {}", error.message));
    }
    Error::invalid(error.code, details)
}
