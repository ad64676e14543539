//! Makes an attempt ready for its handler: checks its session, resolves its input, looks into the cache.

use crate::engine::handler::{Attempt, HandlerFailure};
use crate::engine::inputs::{self, CacheLookup, ExpressionResolver, Leader, ResultCache, SessionVerifier};
use crate::store::Store;
use std::sync::Arc;

/// What an attempt's input may need.
pub struct Preparer {
    /// Where sessions are revoked.
    pub store: Arc<dyn Store>,
    /// Verifies sessions.
    pub sessions: Arc<SessionVerifier>,
    /// Resolves expressions.
    pub expressions: Arc<ExpressionResolver>,
    /// Results that are kept.
    pub cache: ResultCache,
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
    pub(super) async fn prepare(&self, attempt: &mut Attempt) -> Readiness {
        if !inputs::needs_resolving(&attempt.run, &attempt.route, &attempt.options) {
            return Readiness::Ready(None);
        }
        let resolved = inputs::resolve(&self.sessions, &self.expressions, &*self.store, attempt).await;
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(error) => {
                return Readiness::Failed(HandlerFailure {
                    code: error.code_text().into(),
                    message: error.message.into(),
                    stack: None,
                    retry_after: None,
                });
            }
        };
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
}
