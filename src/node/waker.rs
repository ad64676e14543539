//! Wakes the JavaScript thread, and holds its event loop open while somebody waits for an answer.

use crate::error::{Error, ErrorCode, Result};
use napi::Env;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use std::sync::{PoisonError, RwLock};

type WakeFunction = ThreadsafeFunction<(), (), (), napi::Status, false, true>;

/// A weak thread-safe function: by itself it does not keep Node running. `None` once it was let go.
pub struct JsWaker(RwLock<Option<WakeFunction>>);

impl JsWaker {
    /// Wraps the JavaScript function that takes the messages.
    pub fn new(function: &Function<'_, (), ()>) -> napi::Result<Self> {
        let function = function.build_threadsafe_function().weak::<true>().build()?;
        Ok(Self(RwLock::new(Some(function))))
    }

    /// Has the function called on the JavaScript thread; does nothing when that has ended.
    pub fn wake(&self) {
        let function = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = &*function {
            // A refusal means that the environment is going away: nobody is left to be told.
            let _ = function.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }

    /// Lets the function go: Node counts one that is there as an open handle. Nobody is woken any more.
    pub fn close(&self) {
        drop(self.0.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Holds the event loop open, or lets it go. JavaScript thread only.
    #[allow(
        deprecated,
        reason = "the replacement it names, dropping the function, is no way to hold a loop open for a while"
    )]
    pub fn keep_alive(&self, env: &Env, on: bool) -> Result<()> {
        let mut function = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Some(function) = &mut *function else { return Ok(()) };
        let changed = if on { function.refer(env) } else { function.unref(env) };
        changed.map_err(|error| {
            Error::new(ErrorCode::Closed, "the environment of this instance has ended").with_source(error)
        })
    }
}
