//! Verifies the tokens of sessions: signature, period and revocation.
//!
//! Invariant: the keys of a resource are read once, and there are no more of them than resources.

use super::entry_space::entry_space;
use super::expression_resolver::ExpressionResolver;
use crate::clock::Millis;
use crate::error::{Error, Problem, Result};
use crate::expr::Claims;
use crate::model::job::Session;
use crate::resources::{KeySource, Resources, SessionResource};
use crate::sessions::{self, SigningKey, TokenPayload, VerifyingKey};
use crate::store::{EntryKey, EntryKind, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Verifies tokens with the keys that the session resources name.
#[derive(Debug, Default)]
pub struct SessionVerifier {
    resources: Arc<Resources>,
    expressions: Arc<ExpressionResolver>,
    keys: Mutex<SessionKeyCache>,
}

/// By product and tag.
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

/// What the check of a session's token found; a token that is refused is an error instead.
pub enum SessionCheck {
    /// Signed by the resource's key, and not revoked.
    Verified(TokenPayload),
    /// Its resource says that tokens are not verified.
    Unverified(TokenPayload),
    /// Nobody here can verify it; says why.
    Unknown(String),
}

impl SessionCheck {
    /// What expressions see of the session.
    #[must_use]
    pub fn claims(&self) -> Claims<'_> {
        match self {
            Self::Verified(payload) | Self::Unverified(payload) => Claims::Known(&payload.claims),
            Self::Unknown(why) => Claims::Unverified(why),
        }
    }

    /// Why nobody here can verify it, if so.
    #[must_use]
    pub fn why_unknown(&self) -> Option<&str> {
        match self {
            Self::Verified(_) | Self::Unverified(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }

    /// JSON text of the session's data, if its token could be read.
    #[must_use]
    pub fn into_claims(self) -> Option<Box<str>> {
        match self {
            Self::Verified(payload) | Self::Unverified(payload) => Some(payload.claims),
            Self::Unknown(_) => None,
        }
    }
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

impl SessionVerifier {
    /// Verifies tokens of these resources' sessions; their keys may hold secrets.
    #[must_use]
    pub fn new(resources: Arc<Resources>, expressions: Arc<ExpressionResolver>) -> Self {
        Self {
            resources,
            expressions,
            keys: Mutex::default(),
        }
    }

    /// Whether there is such a session resource.
    #[must_use]
    pub fn has_resource(&self, product: &str, tag: &str) -> bool {
        self.resources.session(product, tag).is_some()
    }

    /// Checks a session's token: its signature and whether it was revoked; with `now`, also its time.
    ///
    /// # Errors
    /// `UNAUTHORIZED`, and what the store or the source of secrets says.
    pub async fn verify(
        &self,
        store: &dyn Store,
        product: &str,
        session: &Session,
        now: Option<Millis>,
    ) -> Result<SessionCheck> {
        let checked = self.verify_unless_revoked(store, product, session, now).await?;
        checked.ok_or_else(|| sessions::unauthorized("was revoked"))
    }

    /// As [`verify`](Self::verify), but `None` for a session that was revoked.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub async fn verify_unless_revoked(
        &self,
        store: &dyn Store,
        product: &str,
        session: &Session,
        now: Option<Millis>,
    ) -> Result<Option<SessionCheck>> {
        let Some(keys) = self.session_keys(product, &session.tag).await? else {
            return Ok(Some(SessionCheck::Unknown(format!(
                "`resources` has no session resource '{}' for the product '{product}'",
                session.tag
            ))));
        };
        if !keys.resource.verify {
            return sessions::read_unverified(&session.token).map(|payload| Some(SessionCheck::Unverified(payload)));
        }
        let Some(key) = &keys.verifying else {
            return Ok(Some(SessionCheck::Unknown(format!(
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
        Ok(Some(SessionCheck::Verified(payload)))
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
                let secret = self.expressions.reveal(secret).await?;
                self.expressions.add_masked_value(&secret);
                let key = VerifyingKey::from_secret(algorithm, &secret)?;
                signing = Some(SigningKey::from_secret(algorithm, &secret));
                Some(key)
            }
            KeySource::PublicKey(pem) => Some(VerifyingKey::from_pem(algorithm, &self.expressions.reveal(pem).await?)?),
            KeySource::Jwks(json) => Some(VerifyingKey::from_jwks(algorithm, json)?),
        };
        if let Some(pem) = &resource.private_key {
            let key = SigningKey::from_pem(algorithm, &self.expressions.reveal(pem).await?)?;
            if let Some(verifying) = &verifying {
                key.check_pair(verifying)?;
            }
            signing = Some(key);
        }
        Ok(SessionKeys {
            resource: Arc::clone(resource),
            verifying,
            signing,
        })
    }
}
