//! Resolves expressions: in the inputs of jobs, in the events of features, and in the texts of definitions.
//!
//! Text without a `$` passes by untouched. Invariant: nothing of what is resolved is stored.

use super::secret_store::{RevealedSecrets, SecretStore, not_listed_message};
use crate::clock::Millis;
use crate::cron::Zone;
use crate::engine::handler::Attempt;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::expr::{self, Claims, FeatureScope, InputReferences, Limits, Literals, Scope, Variables};
use crate::model::{JobOptions, Route};
use crate::store::ClaimedRun;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::runtime::RuntimeFlavor;

/// Resolves expressions within limits, with the secrets of an instance.
#[derive(Debug, Default)]
pub struct ExpressionResolver {
    limits: Limits,
    secrets: Arc<SecretStore>,
}

impl ExpressionResolver {
    /// Bounds of expressions, and where the values of `$Secret{…}` come from.
    #[must_use]
    pub fn new(limits: Limits, secrets: Arc<SecretStore>) -> Self {
        Self { limits, secrets }
    }

    /// Masks a value from now on that contains a secret in another form, such as encoded.
    pub fn add_masked_value(&self, value: &str) {
        self.secrets.masker.add_secret(value);
    }

    /// Reads the expressions of an input that is dispatched.
    ///
    /// # Errors
    /// Every problem.
    pub fn check_input(&self, input: &str, has_session: bool) -> std::result::Result<InputReferences, Vec<Problem>> {
        let uses = expr::check(input, &self.limits).map_err(|errors| {
            let problems = errors.into_iter().map(|error| error.problem);
            let problems = problems.map(|problem| problem.with_code(ErrorCode::InvalidExpression));
            problems.collect::<Vec<_>>()
        })?;
        let mut problems = Vec::new();
        if uses.session && !has_session {
            let message = "refers to $Session{…}, and the job is dispatched without `session`";
            problems.push(Problem::new("input", message));
        }
        for key in uses
            .secrets
            .iter()
            .filter(|key| !self.secrets.is_allowed_in_inputs(key))
        {
            problems.push(Problem::new("input", not_listed_message(key)));
        }
        if problems.is_empty() { Ok(uses) } else { Err(problems) }
    }

    /// The input of a run with its expressions resolved at the time `now`; `None`: it has none.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`, `INVALID_EXPRESSION`, and what the source of secrets says.
    pub async fn resolve_input(
        &self,
        run: &ClaimedRun,
        route: &Route,
        options: &JobOptions,
        claims: Claims<'_>,
        (now, literals): (Millis, Literals),
    ) -> Result<Option<Box<str>>> {
        if options.plain || !run.input.contains('$') {
            return Ok(None);
        }
        let secrets = self.secrets_for_input(&run.input).await?;
        let id = run.id.to_string();
        let scope = Scope {
            now,
            zone: zone_of(options),
            claims,
            variables: variables(run, route, &id),
            feature: None,
            secrets: &secrets,
        };
        let resolved = beside_others(run.input.len(), || {
            expr::resolve_with(&run.input, &scope, &self.limits, literals).map_err(expr::ExpressionError::into_error)
        })?;
        Ok(Some(resolved.into()))
    }

    /// The secrets an input asks for.
    async fn secrets_for_input(&self, input: &str) -> Result<RevealedSecrets> {
        if !input.contains("$Secret{") && !input.contains("$Token{") {
            return Ok(RevealedSecrets::default());
        }
        let uses = expr::check(input, &self.limits).map_err(|mut errors| match errors.pop() {
            Some(fault) => fault.into_error(),
            None => Error::new(ErrorCode::InvalidExpression, "input: unreadable"),
        })?;
        self.secrets.reveal_for_input(uses.secrets).await
    }

    /// JSON text of a feature's definition, with what its expressions yield in an attempt of the feature at the time `now`.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a value that is missing, `UNAUTHORIZED`, and what the source of secrets says.
    pub async fn resolve_in_feature(
        &self,
        json: &str,
        attempt: &Attempt,
        feature: FeatureScope<'_>,
        (now, literals): (Millis, Literals),
    ) -> Result<String> {
        if !json.contains('$') {
            return Ok(json.to_owned());
        }
        let uses = expr::check(json, &self.limits)
            .map_err(|mut errors| errors.pop().map_or_else(unreadable, expr::ExpressionError::into_error))?;
        let secrets = self.secrets.reveal(uses.secrets).await?;
        let id = attempt.run.id.to_string();
        let scope = Scope {
            now,
            zone: zone_of(&attempt.options),
            claims: match (&attempt.claims, &attempt.options.session) {
                (Some(claims), _) => Claims::Known(claims),
                (None, Some(_)) => Claims::Unverified("`resources` has no session resource for it"),
                (None, None) => Claims::Absent,
            },
            variables: variables(&attempt.run, &attempt.route, &id),
            feature: Some(feature),
            secrets: &secrets,
        };
        let resolved =
            expr::resolve_with(json, &scope, &self.limits, literals).map_err(expr::ExpressionError::into_error)?;
        Ok(resolved.into_owned())
    }

    /// A text of a definition with its secrets in it.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for a secret that is missing, `INVALID_EXPRESSION`, and what the source of secrets says.
    pub async fn reveal(&self, text: &str) -> Result<String> {
        if !text.contains('$') {
            return Ok(text.to_owned());
        }
        let quoted = serde_json::to_string(text).map_err(|_| unreadable())?;
        let resolved = self.reveal_json(&quoted, 0).await?;
        serde_json::from_str(&resolved).map_err(|_| unreadable())
    }

    /// The same for JSON text, whose strings may hold expressions of the time `now` too.
    ///
    /// # Errors
    /// As [`reveal`](Self::reveal).
    pub async fn reveal_json(&self, json: &str, now: Millis) -> Result<String> {
        if !json.contains('$') {
            return Ok(json.to_owned());
        }
        let uses = expr::check(json, &self.limits)
            .map_err(|mut errors| errors.pop().map_or_else(unreadable, expr::ExpressionError::into_error))?;
        let secrets = self.secrets.reveal(uses.secrets).await?;
        let scope = Scope {
            now,
            zone: Zone::utc(),
            claims: Claims::Absent,
            variables: Variables {
                execution_count: 0,
                attempt: 0,
                job_id: "",
                scheduled_at: 0,
                product: "",
                env: "",
            },
            feature: None,
            secrets: &secrets,
        };
        expr::resolve(json, &scope, &self.limits)
            .map(Cow::into_owned)
            .map_err(|fault| Error::new(fault.code, fault.problem.message))
    }
}

/// Inputs of this size may take long enough to hold up whoever shares the thread, bytes.
const LONG_INPUT_BYTES: usize = 64 << 10;

/// Does what may take long without holding up the tasks that share the thread, where the runtime can arrange that.
fn beside_others<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    if bytes >= LONG_INPUT_BYTES && matches!(flavor, Ok(RuntimeFlavor::MultiThread)) {
        return tokio::task::block_in_place(work);
    }
    work()
}

/// The zone of the job's schedule, else UTC.
fn zone_of(options: &JobOptions) -> Zone {
    let zone = options.tz.as_deref().and_then(|tz| Zone::get(tz).ok());
    zone.unwrap_or_else(Zone::utc)
}

fn unreadable() -> Error {
    Error::new(ErrorCode::InvalidExpression, "unreadable expression")
}

fn variables<'a>(run: &ClaimedRun, route: &'a Route, id: &'a str) -> Variables<'a> {
    Variables {
        execution_count: run.run.saturating_sub(1),
        attempt: run.attempt,
        job_id: id,
        scheduled_at: run.scheduled_at,
        product: &route.product,
        env: &route.env,
    }
}
