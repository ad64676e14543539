//! Where the values of secrets come from: given at construction, or asked for when a run needs them. Never stored.

use super::masker::Masker;
use crate::error::{Error, ErrorCode, Result};
use crate::expr::SecretValues;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a source may take to answer.
const SECRET_SOURCE_TIMEOUT: Duration = Duration::from_secs(10);

/// A source that is asked for each value.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The value of a secret, `None` when there is none of that name.
    async fn ask(&self, key: &str) -> Result<Option<Box<str>>>;
}

/// Secrets of an instance.
#[derive(Default)]
pub struct SecretStore {
    given: HashMap<Box<str>, Box<str>>,
    source: OnceLock<Arc<dyn SecretSource>>,
    /// Keys that inputs may use.
    allowed_in_inputs: Vec<Box<str>>,
    /// Learns every value that passes.
    pub masker: Arc<Masker>,
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretStore({} given)", self.given.len())
    }
}

/// Values that were asked for, for one input or one definition.
#[derive(Default)]
pub struct RevealedSecrets {
    values: HashMap<String, Box<str>>,
    refused: Vec<String>,
}

impl SecretValues for RevealedSecrets {
    fn value_of(&self, key: &str) -> std::result::Result<&str, String> {
        if self.refused.iter().any(|refused| refused == key) {
            return Err(not_listed_message(key));
        }
        self.values
            .get(key)
            .map(|value| &**value)
            .ok_or_else(|| "there is no such secret; give it as `secrets` of the constructor".to_owned())
    }
}

/// Why an input may not use a secret.
#[must_use]
pub fn not_listed_message(key: &str) -> String {
    let key: String = key.chars().take(60).collect();
    format!(
        "inputs may not use the secret '{key}'; list it in `inputSecrets` of the constructor, or mark text of others with literal()"
    )
}

impl SecretStore {
    /// Secrets that are given, and the keys that inputs may use.
    #[must_use]
    pub fn new(given: HashMap<Box<str>, Box<str>>, allowed_in_inputs: Vec<Box<str>>) -> Self {
        let masker = Arc::new(Masker::default());
        for value in given.values() {
            masker.add_secret(value);
        }
        Self {
            given,
            source: OnceLock::new(),
            allowed_in_inputs,
            masker,
        }
    }

    /// Names the source that is asked from now on; the first one stays.
    pub fn set_source(&self, source: Arc<dyn SecretSource>) {
        let _ = self.source.set(source);
    }

    /// Whether inputs may use a secret.
    #[must_use]
    pub fn is_allowed_in_inputs(&self, key: &str) -> bool {
        self.allowed_in_inputs.iter().any(|allowed| **allowed == *key)
    }

    /// The values that an input asks for; those it may not use are left out.
    ///
    /// # Errors
    /// What the source says when it fails, and `TIMEOUT`.
    pub async fn reveal_for_input(&self, keys: Vec<String>) -> Result<RevealedSecrets> {
        let (allowed, refused) = keys.into_iter().partition(|key| self.is_allowed_in_inputs(key));
        let mut revealed = self.reveal(allowed).await?;
        revealed.refused = refused;
        Ok(revealed)
    }

    /// The values of secrets, whoever asks.
    ///
    /// # Errors
    /// As [`reveal_for_input`](Self::reveal_for_input).
    pub async fn reveal(&self, keys: Vec<String>) -> Result<RevealedSecrets> {
        let mut revealed = RevealedSecrets::default();
        for key in keys {
            if let Some(value) = self.value(&key).await? {
                self.masker.add_secret(&value);
                revealed.values.insert(key, value);
            }
        }
        Ok(revealed)
    }

    async fn value(&self, key: &str) -> Result<Option<Box<str>>> {
        let Some(source) = self.source.get() else {
            return Ok(self.given.get(key).cloned());
        };
        match tokio::time::timeout(SECRET_SOURCE_TIMEOUT, source.ask(key)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(
                ErrorCode::Timeout,
                format!(
                    "the function `secrets` did not answer within {} s",
                    SECRET_SOURCE_TIMEOUT.as_secs()
                ),
            )),
        }
    }
}
