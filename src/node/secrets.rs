//! The function `secrets` of the constructor: a question goes out through the outbox, its answer comes back by number.

use super::outbox::Outbox;
use crate::engine::secrets::AskSecret;
use crate::error::{Error, ErrorCode, Result};
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What the function answered.
#[derive(Deserialize)]
struct Answer {
    value: Option<Box<str>>,
    error: Option<String>,
}

#[derive(Default)]
struct State {
    last: u32,
    open: HashMap<u32, oneshot::Sender<Answer>>,
}

/// Asks the JavaScript function.
pub struct JsSecrets {
    outbox: Arc<Outbox>,
    state: Mutex<State>,
}

impl JsSecrets {
    /// Asks through this outbox.
    pub fn new(outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            outbox,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer, which is JSON.
    pub fn answer(&self, number: u32, text: &str) {
        let answer = serde_json::from_str(text).unwrap_or(Answer {
            value: None,
            error: Some("it must give a string or undefined".to_owned()),
        });
        // Nobody waits any more for what came too late.
        if let Some(sender) = self.state().open.remove(&number) {
            let _ = sender.send(answer);
        }
    }
}

/// Forgets a question when nobody waits for its answer any more.
struct Question<'a> {
    secrets: &'a JsSecrets,
    number: u32,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.secrets.state().open.remove(&self.number);
    }
}

#[async_trait]
impl AskSecret for JsSecrets {
    async fn ask(&self, key: &str) -> Result<Option<Box<str>>> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut state = self.state();
            state.last = state.last.wrapping_add(1);
            let number = state.last;
            state.open.insert(number, sender);
            number
        };
        let question = Question { secrets: self, number };
        self.outbox.ask(number, key);
        let answer = receiver.await.map_err(|_| Error::closed())?;
        drop(question);
        match answer.error {
            None => Ok(answer.value),
            Some(why) => Err(Error::new(
                ErrorCode::ServiceUnavailable,
                format!("the function `secrets` failed: {why}"),
            )),
        }
    }
}
