//! The class that JavaScript sees. `lib/bridge.js` is its only caller.

use super::handlers::JsHandler;
use super::instance_runtime::InstanceRuntime;
use super::masked_logger::MaskedLogger;
use super::message_queue::MessageQueue;
use super::protocol::{NoRetry, NoteKind, error_json, kinds_json};
use super::secrets::JsSecrets;
use super::tracer::JsTracer;
use super::waker::JsWaker;
use crate::api::encryption_keys::KeySource;
use crate::api::ephemeral_disk;
use crate::api::intake::{DispatchBatch, ListPart};
use crate::api::options::{SECRET_VARIABLE_PREFIX, SERVERLESS_VARIABLES, read_options};
use crate::api::{Instance, read_handler};
use crate::assembly::{self, ConfiguredStore};
use crate::cron::tzdb_version;
use crate::engine::inputs::SecretSource;
use crate::engine::spans::Tracer;
use crate::engine::{Announcer, EventKind, Listener, Logger};
use crate::error::{Error, ErrorCode};
use crate::model::Namespace;
use crate::store::Token;
use napi::Env;
use napi::bindgen_prelude::Function;
use napi_derive::napi;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The native side of one instance.
#[napi]
pub struct Ductape {
    instance_runtime: Arc<InstanceRuntime>,
    secrets: Arc<JsSecrets>,
    /// There is one when the options ask for telemetry.
    tracer: Option<Arc<JsTracer>>,
    /// Promises that have not settled.
    pending_promises: AtomicUsize,
    /// Whether `start` holds the event loop open.
    kept_open: AtomicBool,
}

/// An error that JavaScript turns into its own: the message is the JSON of it.
fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(error_json(error))
}

#[napi]
impl Ductape {
    /// `options` and `environment` are JSON texts; `wake` is called when [`take`](Self::take) has something; with `asks_secrets`,
    /// secrets are asked of JavaScript, with `wants_debug` it is told messages of the level `debug`.
    #[napi(constructor)]
    pub fn new(
        env: Env,
        options: String,
        environment: String,
        wake: Function<'_, (), ()>,
        asks_secrets: bool,
        wants_debug: bool,
    ) -> napi::Result<Self> {
        let environment: Vec<(String, String)> = serde_json::from_str(&environment).unwrap_or_default();
        let options =
            read_options(&options, &environment, assembly::definition_problems).map_err(|error| thrown(&error))?;
        let queue = MessageQueue::new(JsWaker::new(&wake)?);
        let known = &options.engine.secrets;
        let secrets = JsSecrets::new(Arc::clone(&queue));
        if asks_secrets {
            known.set_source(Arc::clone(&secrets) as Arc<dyn SecretSource>);
        }
        let logger: Arc<dyn Logger> = Arc::new(MaskedLogger {
            queue: Arc::clone(&queue),
            masker: Arc::clone(&known.masker),
            wants_debug,
        });
        let tracer = options
            .telemetry
            .then(|| JsTracer::new(Arc::clone(&queue), Arc::clone(&known.masker)));
        let opener = ConfiguredStore::new(&options, Arc::clone(&logger))
            .with_key_source(Arc::clone(&secrets) as Arc<dyn KeySource>)
            .with_tracer(tracer.clone().map(|tracer| tracer as Arc<dyn Tracer>));
        let announcer = Announcer::new(Arc::clone(&queue) as Arc<dyn Listener>);
        let instance = Instance::new(options, logger, announcer, Box::new(opener));
        let instance_runtime = InstanceRuntime::new(instance, queue);
        // The hook stays until the environment ends; an instance that was closed must not.
        let for_hook = Arc::downgrade(&instance_runtime);
        env.add_env_cleanup_hook(for_hook, |instance_runtime| {
            if let Some(instance_runtime) = instance_runtime.upgrade() {
                instance_runtime.shut_down(false, false);
            }
        })?;
        Ok(Self {
            instance_runtime,
            secrets,
            tracer,
            pending_promises: AtomicUsize::new(0),
            kept_open: AtomicBool::new(false),
        })
    }

    /// Names of the environment variables that the constructor wants to see.
    #[napi]
    pub fn environment_names() -> Vec<String> {
        let names = SERVERLESS_VARIABLES.iter().map(|(name, _)| (*name).to_owned());
        let hosts = ephemeral_disk::HOSTS.iter().map(|(name, _)| (*name).to_owned());
        names.chain(hosts).chain(["DUCTAPE_STORE".to_owned()]).collect()
    }

    /// Prefix of the environment variables that hold secrets.
    #[napi]
    pub fn secret_variable_prefix() -> String {
        SECRET_VARIABLE_PREFIX.to_owned()
    }

    /// Takes the answer to a question for a secret or the encryption keys: JSON.
    #[napi]
    pub fn secret(&self, number: u32, answer: String) {
        self.secrets.answer(number, &answer);
    }

    /// Takes what the spans of the attempt with this key hand on: JSON.
    #[napi]
    pub fn carried(&self, key: f64, answer: String) {
        if let Some(tracer) = &self.tracer {
            tracer.answer(Token::new(key as i64), &answer);
        }
    }

    /// What marks an expression in the JSON of a dispatch; `null`: nothing does.
    #[napi]
    pub fn expression_mark(&self) -> Option<String> {
        let mark = &self.instance_runtime.instance.options.defaults.mark;
        mark.as_deref().map(str::to_owned)
    }

    /// The text with the values of secrets masked.
    #[napi]
    pub fn mask(&self, text: String) -> String {
        let masker = &self.instance_runtime.instance.options.engine.secrets.masker;
        masker.mask(&text).into_owned()
    }

    /// All kinds of the wire format, as JSON: group → name → what is on the wire. For the test that both sides agree.
    #[napi]
    pub fn protocol_kinds() -> String {
        kinds_json()
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

    /// Which events have listeners; the others are not sent.
    #[napi]
    pub fn listen(&self, mask: u32) {
        self.instance_runtime.instance.announcer.listen(mask);
    }

    /// Takes `count` dispatches, each a line of [`DispatchBatch::text`]; their tickets are consecutive.
    #[napi]
    pub fn dispatch(&self, env: Env, first_ticket: f64, count: u32, text: String) -> napi::Result<()> {
        self.add_pending_promises(&env, count as usize)?;
        self.instance_runtime.dispatch(DispatchBatch {
            first_ticket: first_ticket as u64,
            count,
            text,
            made: std::time::Instant::now(),
        });
        Ok(())
    }

    /// Takes a part of a list, the JSON of a list whose first entry has the index `offset` there. The list ends with a dispatch of the form
    /// `parts`, or by [`forget`](Self::forget).
    #[napi]
    pub fn part(&self, list: f64, offset: u32, namespace: String, text: String) -> napi::Result<()> {
        self.instance_runtime.add_part(ListPart {
            list: list as u64,
            offset: offset as usize,
            namespace: read_namespace(&namespace)?,
            text,
        });
        Ok(())
    }

    /// The rest of this list does not come.
    #[napi]
    pub fn forget(&self, list: f64) {
        self.instance_runtime.forget_list(list as u64);
    }

    /// Calls a method, whose answer settles the ticket; `arguments` is a JSON list.
    #[napi]
    pub fn call(&self, env: Env, ticket: f64, method: String, arguments: String) -> napi::Result<()> {
        self.add_pending_promises(&env, 1)?;
        self.instance_runtime.call(ticket as u64, method, arguments);
        Ok(())
    }

    /// The next batch of messages as a JSON list; empty when there is none.
    #[napi]
    pub fn take(&self, env: Env) -> napi::Result<String> {
        let Some(chunk) = self.instance_runtime.queue.take() else {
            return Ok(String::new());
        };
        let resolved = chunk.resolved;
        if resolved > 0 && self.pending_promises.fetch_sub(resolved, Ordering::AcqRel) == resolved {
            self.update_keep_alive(&env)?;
        }
        Ok(chunk.into_text())
    }

    /// Takes answers of handlers: a JSON list of `[key, kind, value]`.
    #[napi]
    pub fn finish(&self, answers: String) -> napi::Result<()> {
        self.instance_runtime
            .pending
            .finish(&answers)
            .map_err(|error| thrown(&error))
    }

    /// How many ms after this failure (JSON) an attempt is tried again, or a [`NoRetry`]; with `spent` and `retries` a
    /// piece of work within it that has retries of its own.
    #[napi]
    pub fn delay(&self, key: f64, failure: String, spent: Option<u32>, retries: Option<u32>) -> f64 {
        let own = spent.zip(retries);
        let delay = self
            .instance_runtime
            .pending
            .delay(Token::new(key as i64), &failure, own);
        delay.unwrap_or_else(NoRetry::wire) as f64
    }

    /// A handler reports progress or a log line, as JSON, about the attempt with this key.
    #[napi]
    pub fn note(&self, key: f64, kind: String, value: String) {
        if let Some(kind) = NoteKind::read(&kind) {
            self.instance_runtime.note(Token::new(key as i64), kind, &value);
        }
    }

    /// Registers handler number `number` for a target; returns the number to unregister it by.
    #[napi]
    pub fn register(&self, namespace: String, number: u32, target: String, options: String) -> napi::Result<u32> {
        let namespace = read_namespace(&namespace)?;
        let instance = &self.instance_runtime.instance;
        if instance.is_ending() {
            return Err(thrown(&Error::closed()));
        }
        let registration =
            read_handler(namespace, &target, &options, &instance.options.defaults).map_err(|error| thrown(&error))?;
        let (queue, pending) = (
            Arc::clone(&self.instance_runtime.queue),
            Arc::clone(&self.instance_runtime.pending),
        );
        let handler = Arc::new(JsHandler {
            number,
            queue,
            pending,
            telemetry: self.tracer.is_some(),
        });
        let id = instance.routing.register(
            registration.pattern,
            handler,
            registration.concurrency,
            registration.timeout,
        );
        // Claiming starts one macrotask later: by then all handlers of this tick are known.
        self.instance_runtime.queue.start_working();
        self.instance_runtime.handlers_changed();
        Ok(id)
    }

    /// Removes a handler.
    #[napi]
    pub fn unregister(&self, id: u32) {
        self.instance_runtime.instance.routing.unregister(id);
        self.instance_runtime.handlers_changed();
    }

    /// A macrotask has passed since a handler was registered.
    #[napi]
    pub fn work(&self) {
        self.instance_runtime.work();
    }

    /// Holds the event loop open from `start` to `close`.
    #[napi]
    pub fn hold(&self, env: Env, on: bool) -> napi::Result<()> {
        self.kept_open.store(on, Ordering::Release);
        self.update_keep_alive(&env)
    }

    /// The process ends: hands back what is claimed and ends the threads. `failed`: it ends by a failure, so that what it is
    /// executing counts a crash. With `asks` it says whether jobs wait that this process could run. Blocks for a bounded time.
    #[napi]
    pub fn shut_down(&self, failed: bool, asks: bool) -> bool {
        self.instance_runtime.shut_down(failed, asks)
    }

    /// The instance's time, ms since the epoch.
    #[napi]
    pub fn now(&self) -> f64 {
        self.instance_runtime.instance.now() as f64
    }

    fn add_pending_promises(&self, env: &Env, promises: usize) -> napi::Result<()> {
        if self.pending_promises.fetch_add(promises, Ordering::AcqRel) == 0 {
            self.update_keep_alive(env)?;
        }
        Ok(())
    }

    fn update_keep_alive(&self, env: &Env) -> napi::Result<()> {
        let keep_alive = self.kept_open.load(Ordering::Acquire) || self.pending_promises.load(Ordering::Acquire) > 0;
        self.instance_runtime
            .queue
            .waker()
            .keep_alive(env, keep_alive)
            .map_err(|error| thrown(&error))
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
