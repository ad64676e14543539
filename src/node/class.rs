//! The class that JavaScript sees. `index.js` wraps it in the documented shape.

use super::handlers::JsHandler;
use super::host::Host;
use super::masked::MaskedJournal;
use super::outbox::{Outbox, error_json};
use super::secrets::JsSecrets;
use super::wake::Wake;
use crate::api::intake::Parcel;
use crate::api::options::{SECRET_VARIABLES, SERVERLESS_SIGNS, read_options};
use crate::api::{Instance, read_handler};
use crate::assembly::ConfiguredStore;
use crate::cron::tzdb_version;
use crate::engine::secrets::AskSecret;
use crate::engine::{Announcer, EventKind, Journal, Listener};
use crate::error::{Error, ErrorCode};
use crate::model::Namespace;
use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The native side of one instance.
#[napi]
pub struct Ductape {
    host: Arc<Host>,
    secrets: Arc<JsSecrets>,
    /// Promises that JavaScript waits for.
    waiting: AtomicUsize,
    /// Whether `start` holds the event loop open.
    held: AtomicBool,
}

/// An error that JavaScript turns into its own: the message is the JSON of it.
fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(error_json(error))
}

#[napi]
impl Ductape {
    /// `options` and `environment` are JSON texts; `wake` is called when [`take`](Self::take) has something; with `asks`,
    /// secrets are asked for.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        options: String,
        environment: String,
        wake: Function<'_, (), ()>,
        asks: bool,
    ) -> napi::Result<Self> {
        let environment: Vec<(String, String)> = serde_json::from_str(&environment).unwrap_or_default();
        let options = read_options(&options, &environment).map_err(|error| thrown(&error))?;
        let outbox = Outbox::new(Wake::new(&wake)?);
        let known = &options.engine.preparation.secrets;
        let secrets = JsSecrets::new(Arc::clone(&outbox));
        if asks {
            known.ask_from(Arc::clone(&secrets) as Arc<dyn AskSecret>);
        }
        let journal: Arc<dyn Journal> = Arc::new(MaskedJournal {
            outbox: Arc::clone(&outbox),
            masker: Arc::clone(&known.masker),
        });
        let opener = ConfiguredStore::new(&options, Arc::clone(&journal));
        let announcer = Announcer::new(Arc::clone(&outbox) as Arc<dyn Listener>);
        let instance = Instance::new(options, journal, announcer, Box::new(opener));
        let host = Host::new(instance, outbox);
        let hooked = Arc::clone(&host);
        env.add_env_cleanup_hook(hooked, |host| host.shut_down())?;
        Ok(Self {
            host,
            secrets,
            waiting: AtomicUsize::new(0),
            held: AtomicBool::new(false),
        })
    }

    /// Names of the environment variables that the constructor wants to see.
    #[napi]
    pub fn environment_names() -> Vec<String> {
        let names = SERVERLESS_SIGNS.iter().map(|(name, _)| (*name).to_owned());
        names.chain(["DUCTAPE_STORE".to_owned()]).collect()
    }

    /// Beginning of the names of the environment variables that hold secrets.
    #[napi]
    pub fn secret_variables() -> String {
        SECRET_VARIABLES.to_owned()
    }

    /// Takes the answer to a question for a secret: JSON.
    #[napi]
    pub fn secret(&self, number: u32, answer: String) {
        self.secrets.answer(number, &answer);
    }

    /// The text with the values of secrets masked.
    #[napi]
    pub fn mask(&self, text: String) -> String {
        let masker = &self.host.instance.options.engine.preparation.secrets.masker;
        masker.mask(&text).into_owned()
    }

    /// Version of the time zone database.
    #[napi]
    pub fn tzdb_version() -> String {
        tzdb_version().to_owned()
    }

    /// Names of the events that [`listen`](Self::listen) knows; the bit of each is its place.
    #[napi]
    pub fn event_names() -> Vec<String> {
        EventKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect()
    }

    /// Which events have listeners: nothing is told of the others.
    #[napi]
    pub fn listen(&self, mask: u32) {
        self.host.instance.announcer.listen(mask);
    }

    /// Takes `count` dispatches, a line of `text` for each as [`Parcel::text`] has it; their tickets follow each other.
    #[napi]
    pub fn dispatch(&self, env: Env, first_ticket: f64, count: u32, text: String) -> napi::Result<()> {
        self.expect(&env, count as usize)?;
        self.host.dispatch(Parcel {
            first_ticket: first_ticket as u64,
            count,
            text,
        });
        Ok(())
    }

    /// Answers a method later; `arguments` is a JSON list.
    #[napi]
    pub fn call(&self, env: Env, ticket: f64, method: String, arguments: String) -> napi::Result<()> {
        self.expect(&env, 1)?;
        self.host.call(ticket as u64, method, arguments);
        Ok(())
    }

    /// The next batch of messages as a JSON list; empty when there is none.
    #[napi]
    pub fn take(&self, env: Env) -> napi::Result<String> {
        let Some(chunk) = self.host.outbox.take() else {
            return Ok(String::new());
        };
        let settled = chunk.settled;
        if settled > 0 && self.waiting.fetch_sub(settled, Ordering::AcqRel) == settled {
            self.update_hold(&env)?;
        }
        Ok(chunk.into_text())
    }

    /// Takes answers of handlers: a JSON list of `[key, kind, value]`.
    #[napi]
    pub fn finish(&self, answers: String) -> napi::Result<()> {
        self.host.pending.finish(&answers).map_err(|error| thrown(&error))
    }

    /// When an attempt that fails with this failure (JSON) is tried again, ms; with `spent` and `retries` a part of it that
    /// has retries of its own. Nothing: it is not; -1: the attempt is over.
    #[napi]
    pub fn delay(&self, key: f64, failure: String, spent: Option<u32>, retries: Option<u32>) -> Option<f64> {
        let part = spent.zip(retries);
        let delay = self.host.pending.delay(key as i64, &failure, part)?;
        Some(delay as f64)
    }

    /// A handler reports progress or a log line, as JSON, about the attempt with this key.
    #[napi]
    pub fn note(&self, key: f64, kind: String, value: String) {
        self.host.note(key as i64, kind, value);
    }

    /// Registers handler number `number` for a target; returns the number to unregister it by.
    #[napi]
    pub fn register(&self, namespace: String, number: u32, target: String, options: String) -> napi::Result<u32> {
        let namespace = read_namespace(&namespace)?;
        let instance = &self.host.instance;
        if instance.is_closed() {
            return Err(thrown(&Error::closed()));
        }
        let registration =
            read_handler(namespace, &target, &options, &instance.options.defaults).map_err(|error| thrown(&error))?;
        let (outbox, pending) = (Arc::clone(&self.host.outbox), Arc::clone(&self.host.pending));
        let handler = Arc::new(JsHandler {
            number,
            outbox,
            pending,
        });
        let id = instance.routing.register(
            registration.pattern,
            handler,
            registration.concurrency,
            registration.timeout,
        );
        // Claiming starts one macrotask later: by then all handlers of this tick are known.
        self.host.outbox.echo("work");
        self.host.handlers_changed();
        Ok(id)
    }

    /// Takes a handler away.
    #[napi]
    pub fn unregister(&self, id: u32) {
        self.host.instance.routing.unregister(id);
        self.host.handlers_changed();
    }

    /// A macrotask has passed since a handler was registered.
    #[napi]
    pub fn work(&self) {
        self.host.work();
    }

    /// Holds the event loop open from `start` to `close`.
    #[napi]
    pub fn hold(&self, env: Env, on: bool) -> napi::Result<()> {
        self.held.store(on, Ordering::Release);
        self.update_hold(&env)
    }

    /// The process ends: hands back what is claimed and ends the threads. Blocks for a bounded time.
    #[napi]
    pub fn shut_down(&self) {
        self.host.shut_down();
    }

    /// The instance's time, ms since the epoch.
    #[napi]
    pub fn now(&self) -> f64 {
        self.host.instance.now() as f64
    }

    /// More promises to settle.
    fn expect(&self, env: &Env, promises: usize) -> napi::Result<()> {
        if self.waiting.fetch_add(promises, Ordering::AcqRel) == 0 {
            self.update_hold(env)?;
        }
        Ok(())
    }

    fn update_hold(&self, env: &Env) -> napi::Result<()> {
        let hold = self.held.load(Ordering::Acquire) || self.waiting.load(Ordering::Acquire) > 0;
        self.host.outbox.wake().hold(env, hold).map_err(|error| thrown(&error))
    }
}

fn read_namespace(name: &str) -> napi::Result<Namespace> {
    Namespace::parse_public(name).ok_or_else(|| {
        thrown(&Error::new(
            ErrorCode::ValidationError,
            format!("there is no namespace {name}"),
        ))
    })
}
