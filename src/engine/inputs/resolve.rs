//! What the handler of one attempt sees: verifies the session and resolves the input.

use super::expression_resolver::ExpressionResolver;
use super::session_verifier::SessionVerifier;
use crate::engine::handler::Attempt;
use crate::error::Result;
use crate::expr::{Claims, Literals};
use crate::model::{JobOptions, Namespace, Route};
use crate::store::{ClaimedRun, Store};

/// The input and session data that a handler sees, instead of what is stored.
#[derive(Debug, Default)]
pub struct ResolvedInput {
    /// The input, if it has changed.
    pub input: Option<Box<str>>,
    /// JSON text of the session's data.
    pub claims: Option<Box<str>>,
    /// Why the session's data is missing, if nobody here can verify its token.
    pub unknown_session: Option<Box<str>>,
}

/// Whether a run has expressions, a session or a cache. The package's own work carries what programs wrote, as it is.
#[must_use]
pub fn needs_resolving(run: &ClaimedRun, route: &Route, options: &JobOptions) -> bool {
    let has_expressions = !options.plain && run.input.contains('$');
    route.namespace != Namespace::Webhooks && (options.session.is_some() || options.cache.is_some() || has_expressions)
}

/// Verifies the session of an attempt and resolves its input.
///
/// # Errors
/// `UNAUTHORIZED`, `VALIDATION_ERROR`, and what the store or the source of secrets says.
pub async fn resolve(
    sessions: &SessionVerifier,
    expressions: &ExpressionResolver,
    store: &dyn Store,
    attempt: &Attempt,
    literals: Literals,
) -> Result<ResolvedInput> {
    let Attempt {
        run, route, options, ..
    } = attempt;
    let session = match &options.session {
        Some(session) => Some(sessions.verify(store, &route.product, session, None).await?),
        None => None,
    };
    let claims = session.as_ref().map_or(Claims::Absent, |session| session.claims());
    let input = expressions.resolve_input(run, route, options, claims, (attempt.started_at, literals));
    Ok(ResolvedInput {
        input: input.await?,
        unknown_session: session
            .as_ref()
            .and_then(|session| session.why_unknown())
            .map(Box::from),
        claims: session.and_then(|session| session.into_claims()),
    })
}
