//! Makes an attempt ready for its handler: checks its session and resolves the expressions of its input.
//!
//! A job without expressions, session and cache passes by untouched. Nothing of what is resolved is stored.

use super::caching::SingleFlight;
use super::handler::Attempt;
use super::secrets::{RevealedSecrets, Secrets, not_listed_message};
use crate::clock::Millis;
use crate::cron::Zone;
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::expr::{self, Claims, FeatureScope, InputReferences, Limits, Scope, Variables};
use crate::model::job::Session;
use crate::model::{JobOptions, Namespace, Route};
use crate::resources::{KeySource, Outbound, Resources, SessionResource};
use crate::sessions::{self, SigningKey, TokenPayload, VerifyingKey};
use crate::store::{ClaimedRun, EntryKey, EntryKind, Store};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What inputs may refer to, and how much they may cost.
#[derive(Debug, Default)]
pub struct Preparation {
    /// Bounds of expressions.
    pub limits: Limits,
    /// Secrets, and the mask over them.
    pub secrets: Secrets,
    /// Definitions of sessions and caches.
    pub resources: Resources,
    /// Where HTTP requests may go.
    pub outbound: Outbound,
    /// Jobs that others wait for.
    pub single_flight: SingleFlight,
    keys: Mutex<SessionKeyCache>,
}

/// Keys that were read, by product and tag; there are no more than resources.
type SessionKeyCache = HashMap<(Box<str>, Box<str>), Arc<SessionKeys>>;

/// A session resource with its keys read.
#[derive(Debug)]
pub struct SessionKeys {
    /// Its definition.
    pub resource: Arc<SessionResource>,
    /// Verifies tokens.
    pub verifying: Option<VerifyingKey>,
    /// Signs them.
    pub signing: Option<SigningKey>,
}

/// What became of a session.
pub enum Admission {
    /// Its token is right.
    Verified(TokenPayload),
    /// Its resource says that tokens are not checked.
    Unchecked(TokenPayload),
    /// Nobody here can check it; says why.
    Unknown(String),
}

/// What a handler sees instead of what is stored.
#[derive(Debug, Default)]
pub struct PreparedInput {
    /// The input, if it has changed.
    pub input: Option<Box<str>>,
    /// JSON text of the session's data.
    pub claims: Option<Box<str>>,
}

/// Where the revocations of a session resource are remembered.
#[must_use]
pub fn revocation_key(product: &str, tag: &str, id: &str) -> EntryKey {
    EntryKey {
        kind: EntryKind::Session,
        space: entry_space("revoked", product, tag),
        key: id.into(),
    }
}

/// A space of a product's resource, for the store.
#[must_use]
pub fn entry_space(kind: &str, product: &str, tag: &str) -> Box<str> {
    serde_json::to_string(&[kind, product, tag]).unwrap_or_default().into()
}

impl Preparation {
    /// What the constructor's options say.
    #[must_use]
    pub fn new(limits: Limits, secrets: Secrets, resources: Resources) -> Self {
        Self {
            limits,
            secrets,
            resources,
            ..Self::default()
        }
    }

    /// Whether there is nothing to do for a run. Work of the package's own carries what programs wrote, as it is.
    #[must_use]
    pub fn can_skip(run: &ClaimedRun, route: &Route, options: &JobOptions) -> bool {
        if route.namespace == Namespace::Webhooks {
            return true;
        }
        options.session.is_none() && options.cache.is_none() && (options.plain || !run.input.contains('$'))
    }

    /// Reads the expressions of an input that is dispatched.
    ///
    /// # Errors
    /// Every problem.
    pub fn check(&self, input: &str, has_session: bool) -> std::result::Result<InputReferences, Vec<Problem>> {
        let uses = expr::check(input, &self.limits).map_err(|errors| {
            let problems = errors.into_iter().map(|fault| fault.problem);
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

    /// Checks the session of a run and resolves its input.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, `VALIDATION_ERROR`, and what the store or the source of secrets says.
    pub async fn prepare(
        &self,
        store: &dyn Store,
        run: &ClaimedRun,
        route: &Route,
        options: &JobOptions,
        now: Millis,
    ) -> Result<PreparedInput> {
        let admission = match &options.session {
            Some(session) => Some(self.admit(store, &route.product, session, None).await?),
            None => None,
        };
        let claims = match &admission {
            None => Claims::Absent,
            Some(Admission::Verified(payload) | Admission::Unchecked(payload)) => Claims::Known(&payload.claims),
            Some(Admission::Unknown(why)) => Claims::Unverified(why),
        };
        let input = if options.plain || !run.input.contains('$') {
            None
        } else {
            let secrets = self.secrets_for_input(&run.input).await?;
            let id = run.id.to_string();
            let scope = Scope {
                now,
                zone: options
                    .tz
                    .as_deref()
                    .and_then(|tz| Zone::get(tz).ok())
                    .unwrap_or_else(Zone::utc),
                claims,
                variables: variables(run, route, &id),
                feature: None,
                secrets: &secrets,
            };
            let resolved =
                expr::resolve(&run.input, &scope, &self.limits).map_err(expr::ExpressionError::into_error)?;
            Some(resolved.into())
        };
        let claims = match admission {
            Some(Admission::Verified(payload) | Admission::Unchecked(payload)) => Some(payload.claims),
            _ => None,
        };
        Ok(PreparedInput { input, claims })
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

    /// Checks a session's token: its signature and whether it was revoked; with `now`, also its time.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, and what the store or the source of secrets says.
    pub async fn admit(
        &self,
        store: &dyn Store,
        product: &str,
        session: &Session,
        now: Option<Millis>,
    ) -> Result<Admission> {
        let admission = self.admit_unless_revoked(store, product, session, now).await?;
        admission.ok_or_else(|| sessions::unauthorized("was revoked"))
    }

    /// As [`admit`](Self::admit), but `None` for a session that was revoked.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub async fn admit_unless_revoked(
        &self,
        store: &dyn Store,
        product: &str,
        session: &Session,
        now: Option<Millis>,
    ) -> Result<Option<Admission>> {
        let Some(keys) = self.session_keys(product, &session.tag).await? else {
            return Ok(Some(Admission::Unknown(format!(
                "`resources` has no session resource '{}' for the product '{product}'",
                session.tag
            ))));
        };
        if !keys.resource.verify {
            return sessions::read_unverified(&session.token).map(|payload| Some(Admission::Unchecked(payload)));
        }
        let Some(key) = &keys.verifying else {
            return Ok(Some(Admission::Unknown(format!(
                "the session resource '{}' has no key to check the token with",
                session.tag
            ))));
        };
        let payload = sessions::verify(&session.token, key)?;
        if let Some(now) = now {
            sessions::check_validity_period(&payload, now)?;
        }
        if let Some(id) = &payload.id {
            // A revocation is kept as long as its token could be valid; by then no time must be passed.
            let revoked = store
                .entry(revocation_key(product, &session.tag, id), Millis::MIN)
                .await?;
            if revoked.is_some() {
                return Ok(None);
            }
        }
        Ok(Some(Admission::Verified(payload)))
    }

    /// The keys of a session resource, read once. `None`: there is no such resource.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when a key is none, or a secret in it is missing.
    pub async fn session_keys(&self, product: &str, tag: &str) -> Result<Option<Arc<SessionKeys>>> {
        let Some(resource) = self.resources.session(product, tag) else {
            return Ok(None);
        };
        let name = (Box::from(product), Box::from(tag));
        let known = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
            .cloned();
        if known.is_some() {
            return Ok(known);
        }
        let read = self.read_keys(resource).await.map_err(|error| {
            let problem = Problem::new(format!("resources.sessions.{tag}"), error.message);
            Error::invalid(vec![problem.with_code(error.code)])
        })?;
        let keys = Arc::new(read);
        let mut all = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(name, Arc::clone(&keys));
        Ok(Some(keys))
    }

    async fn read_keys(&self, resource: &Arc<SessionResource>) -> Result<SessionKeys> {
        let algorithm = resource.algorithm;
        let mut signing = None;
        let verifying = match &resource.key {
            KeySource::Absent => None,
            KeySource::Secret(secret) => {
                let secret = self.reveal(secret).await?;
                self.secrets.masker.add_secret(&secret);
                let key = VerifyingKey::from_secret(algorithm, &secret)?;
                signing = Some(SigningKey::from_secret(algorithm, &secret));
                Some(key)
            }
            KeySource::PublicKey(pem) => Some(VerifyingKey::from_pem(algorithm, &self.reveal(pem).await?)?),
            KeySource::Jwks(json) => Some(VerifyingKey::from_jwks(algorithm, json)?),
        };
        if let Some(pem) = &resource.private_key {
            signing = Some(SigningKey::from_pem(algorithm, &self.reveal(pem).await?)?);
        }
        Ok(SessionKeys {
            resource: Arc::clone(resource),
            verifying,
            signing,
        })
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
        now: Millis,
    ) -> Result<String> {
        if !json.contains('$') {
            return Ok(json.to_owned());
        }
        let uses = expr::check(json, &self.limits)
            .map_err(|mut errors| errors.pop().map_or_else(unreadable, expr::ExpressionError::into_error))?;
        let secrets = self.secrets.reveal(uses.secrets).await?;
        let id = attempt.run.id.to_string();
        let zone = attempt.options.tz.as_deref().and_then(|tz| Zone::get(tz).ok());
        let scope = Scope {
            now,
            zone: zone.unwrap_or_else(Zone::utc),
            claims: match (&attempt.claims, &attempt.options.session) {
                (Some(claims), _) => Claims::Known(claims),
                (None, Some(_)) => Claims::Unverified("`resources` has no session resource for it"),
                (None, None) => Claims::Absent,
            },
            variables: variables(&attempt.run, &attempt.route, &id),
            feature: Some(feature),
            secrets: &secrets,
        };
        let resolved = expr::resolve(json, &scope, &self.limits).map_err(expr::ExpressionError::into_error)?;
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
