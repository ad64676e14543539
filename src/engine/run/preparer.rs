//! Makes an attempt ready for its handler: checks its session, resolves its input, looks into the cache.

use crate::engine::caching::{self, CacheLookup, Leader, ResultCache};
use crate::engine::handler::{Attempt, HandlerFailure};
use crate::engine::preparation::Preparation;

/// Whether a run can go on.
pub(super) enum Readiness {
    /// It can; when it leads a flight, its result is to be kept.
    Ready(Option<Leader>),
    /// It need not: a cache has its result.
    Cached(Option<Box<str>>),
    /// It cannot.
    Failed(HandlerFailure),
}

/// Checks the session, resolves the input, looks into the cache.
pub(super) async fn prepare(cache: &ResultCache, attempt: &mut Attempt) -> Readiness {
    let Attempt {
        run, route, options, ..
    } = attempt;
    if Preparation::can_skip(run, route, options) {
        return Readiness::Ready(None);
    }
    let prepared = cache
        .preparation
        .prepare(&*cache.context.store, run, route, options, attempt.started_at)
        .await;
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            return Readiness::Failed(HandlerFailure {
                code: error.code_text().into(),
                message: error.message.into(),
                stack: None,
                retry_after: None,
            });
        }
    };
    let cache_target = options
        .cache
        .as_deref()
        .map(|tag| caching::cache_target_of(cache, run, route, tag, &prepared));
    if let Some(input) = prepared.input {
        run.input = input;
    }
    attempt.claims = prepared.claims;
    let Some(cache_target) = cache_target else {
        return Readiness::Ready(None);
    };
    match caching::find_or_lead(cache, cache_target).await {
        CacheLookup::Hit(result) => Readiness::Cached((!result.is_empty()).then_some(result)),
        CacheLookup::Miss(leader) => Readiness::Ready(Some(leader)),
    }
}
