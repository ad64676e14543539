//! The functions `secrets` and `encryptionKeys` of the constructor: a question goes out through the message queue, its
//! answer comes back by number.

use super::message_queue::MessageQueue;
use super::protocol::SecretAnswer;
use crate::api::encryption_keys::{self, KeySource};
use crate::engine::inputs::SecretSource;
use crate::error::{Error, ErrorCode, Result};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

#[derive(Default)]
struct State {
    last_number: u32,
    pending: HashMap<u32, oneshot::Sender<SecretAnswer>>,
}

/// Asks the JavaScript function.
pub struct JsSecrets {
    queue: Arc<MessageQueue>,
    state: Mutex<State>,
}

impl JsSecrets {
    /// Asks through this queue.
    pub fn new(queue: Arc<MessageQueue>) -> Arc<Self> {
        Arc::new(Self {
            queue,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer, which is JSON.
    pub fn answer(&self, number: u32, text: &str) {
        // Nobody waits for an answer that came too late.
        if let Some(sender) = self.state().pending.remove(&number) {
            let _ = sender.send(SecretAnswer::read(text));
        }
    }
}

/// Forgets a question when nobody waits for its answer any more.
struct PendingQuestion<'a> {
    secrets: &'a JsSecrets,
    number: u32,
}

impl Drop for PendingQuestion<'_> {
    fn drop(&mut self) {
        self.secrets.state().pending.remove(&self.number);
    }
}

impl JsSecrets {
    /// Asks with a number, and waits for the answer. `function` is what it is called in messages.
    async fn answer_to(&self, function: &str, ask: impl FnOnce(u32)) -> Result<Option<Box<str>>> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut state = self.state();
            state.last_number = state.last_number.wrapping_add(1);
            let number = state.last_number;
            state.pending.insert(number, sender);
            number
        };
        let question = PendingQuestion { secrets: self, number };
        ask(number);
        let answer = receiver.await.map_err(|_| Error::closed())?;
        drop(question);
        match answer.error {
            None => Ok(answer.value),
            Some(why) => Err(Error::new(
                ErrorCode::ServiceUnavailable,
                format!("the function `{function}` failed: {why}"),
            )),
        }
    }
}

#[async_trait]
impl SecretSource for JsSecrets {
    async fn ask(&self, key: &str) -> Result<Option<Box<str>>> {
        self.answer_to("secrets", |number| self.queue.ask_secret(number, key))
            .await
    }
}

#[async_trait]
impl KeySource for JsSecrets {
    async fn keys(&self) -> Result<Zeroizing<String>> {
        let answer = self.answer_to(encryption_keys::OPTION, |number| self.queue.ask_keys(number));
        // Nothing at all is as wrong as what is no list.
        let keys = answer.await?.unwrap_or_else(|| "null".into());
        Ok(Zeroizing::new(keys.into_string()))
    }
}
