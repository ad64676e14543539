//! Makes an attempt ready for its handler: checks its session, resolves its input, looks into the cache.

use crate::engine::context::Context;
use crate::engine::handler::{Attempt, HandlerFailure, Level};
use crate::engine::inputs::{self, CacheLookup, ExpressionResolver, Leader, ResultCache, SessionVerifier};
use crate::expr::Literals;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Most reasons that are remembered as warned of.
const MAX_WARNED: usize = 1_000;

/// What an attempt's input may need.
pub struct Preparer {
    /// The store, where sessions are revoked, and the logger.
    pub context: Context,
    /// Verifies sessions.
    pub sessions: Arc<SessionVerifier>,
    /// Resolves expressions.
    pub expressions: Arc<ExpressionResolver>,
    /// Results that are kept.
    pub cache: ResultCache,
    /// Sessions that nobody here can verify and that were warned of.
    pub warned: Mutex<HashSet<Box<str>>>,
}

/// Whether a run can go on.
pub(super) enum Readiness {
    /// It can; when others wait for its result, that is to be kept.
    Ready(Option<Leader>),
    /// It need not: a cache has its result.
    Cached(Option<Box<str>>),
    /// It cannot.
    Failed(HandlerFailure),
}

impl Preparer {
    /// Checks the session, resolves the input, looks into the cache.
    pub(super) async fn prepare(&self, attempt: &mut Attempt, literals: Literals) -> Readiness {
        if !inputs::needs_resolving(&attempt.run, &attempt.route, &attempt.options) {
            return Readiness::Ready(None);
        }
        let resolved = inputs::resolve(
            &self.sessions,
            &self.expressions,
            &*self.context.store,
            attempt,
            literals,
        )
        .await;
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                return Readiness::Failed(HandlerFailure {
                    code: error.code_text().into(),
                    message: error.message.into(),
                    stack: None,
                    origin: None,
                    retry_after: None,
                });
            }
        };
        if let Some(why) = &resolved.unknown_session {
            self.warn_of_unknown_session(attempt, why);
        }
        let lookup = match &attempt.options.cache {
            Some(tag) => Some(self.cache.find_or_lead(attempt, tag, &resolved).await),
            None => None,
        };
        if let Some(input) = resolved.input {
            attempt.run.input = input;
        }
        attempt.claims = resolved.claims;
        match lookup {
            None => Readiness::Ready(None),
            Some(CacheLookup::Hit(result)) => Readiness::Cached((!result.is_empty()).then_some(result)),
            Some(CacheLookup::Miss(leader)) => Readiness::Ready(Some(leader)),
        }
    }

    /// Says, once for each reason, that a handler gets no session though its job has one.
    fn warn_of_unknown_session(&self, attempt: &Attempt, why: &str) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() >= MAX_WARNED || !warned.insert(why.into()) {
            return;
        }
        drop(warned);
        let message = format!(
            "the handler of job {} ({}) gets no session though the job has one: {why}; add it to `resources` of this process",
            attempt.run.id, attempt.route
        );
        self.context.log(Level::Warn, &message);
    }
}
