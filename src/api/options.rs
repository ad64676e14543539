//! The options of the constructor, from JSON.

use super::clock;
use super::dispatch::Defaults;
use super::encryption_keys::{self, EncryptionKeys};
use super::ephemeral_disk::Host;
use super::fields::{Fields, MAX_SAFE_INTEGER};
use super::other_queues::{self, Place};
use super::outbound::read_outbound;
use super::resources::read_resources;
use crate::clock::Millis;
use crate::cron::Zone;
use crate::engine::inputs::{ExpressionResolver, SecretStore, SessionVerifier};
use crate::engine::routing::WorkerFilter;
use crate::engine::{EngineConfig, Failpoints, FigureRetention, WorkerConfig};
use crate::error::{Error, Problem, Result};
use crate::expr::Limits;
use crate::model::Namespace;
use crate::resources::Resources;
use crate::store::postgres::Address;
use crate::store::{FigureSpan, Retention, RetentionLimit};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Most attempts at once that a process may ask for.
const MAX_CONCURRENCY: i64 = 100_000;
/// Largest `maxInputBytes`: what one row of a store can bear with room to spare.
const MAX_INPUT_BYTES: i64 = 256 << 20;

/// Where jobs live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file, by its absolute path.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// It is the default: its folder gets a `.gitignore`.
        default: bool,
    },
    /// In memory; shared within the process when it has a name.
    Memory(Option<Box<str>>),
    /// In a PostgreSQL database, by its address.
    Postgres(Box<Address>),
    /// The default, on a host whose disk does not outlive the call: the first call rejects, naming the host.
    Serverless(Box<str>),
}

/// What a committed dispatch has survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine.
    #[default]
    Full,
    /// A crash of the process.
    Relaxed,
}

/// The checked options of the constructor.
#[derive(Clone, Debug)]
pub struct Options {
    /// For dispatches and handlers that leave it out.
    pub defaults: Defaults,
    /// Where jobs live.
    pub store: StoreLocation,
    /// The host of the process, if its disk does not last.
    pub host: Option<Host>,
    /// Where a manual clock begins, ms; `None`: at the time of the system.
    pub clock_at: Option<Millis>,
    /// When a dispatch counts as stored.
    pub durability: Durability,
    /// Longest wait of a call for a lock that another process or program holds; `None`: the store's own.
    pub store_timeout: Option<Duration>,
    /// What payloads are encrypted with.
    pub encryption_keys: EncryptionKeys,
    /// Whether the program's OpenTelemetry is told of dispatches and attempts.
    pub telemetry: bool,
    /// How the engine works.
    pub engine: EngineConfig,
}

/// Reads the options. `environment` holds what the process's environment says about stores and hosts; `check` what else is
/// wrong with resources that were read.
///
/// # Errors
/// `VALIDATION_ERROR` with every problem.
pub fn read_options(
    text: &str,
    environment: &[(String, String)],
    check: fn(&Resources) -> Vec<Problem>,
) -> Result<Options> {
    let mut fields = Fields::read(text, "options")?;
    other_queues::refuse_unknown(&mut fields, &OPTION_FIELDS, Place::Constructor);
    let store = read_store(&mut fields, "store", environment);
    let given = read_secrets(&mut fields, environment);
    let allowed_in_inputs = fields.tags("inputSecrets", 1_000).unwrap_or_default();
    let secrets = Arc::new(SecretStore::new(given, allowed_in_inputs));
    let (limits, are_marked) = read_expressions(&mut fields);
    let expressions = Arc::new(ExpressionResolver::new(limits, Arc::clone(&secrets)));
    let resources = Arc::new(read_resources(&mut fields));
    let found = check(&resources).into_iter();
    let found: Vec<Problem> = found.filter(|problem| !is_told(problem, &fields.problems)).collect();
    fields.problems.extend(found);
    let sessions = Arc::new(SessionVerifier::new(Arc::clone(&resources), Arc::clone(&expressions)));
    let mut defaults = read_defaults(&mut fields, Arc::clone(&expressions), Arc::clone(&sessions));
    defaults.mark = are_marked.then(new_mark);
    let clock = clock::read_option(&mut fields, &defaults.timezone);
    if clock.manual && !matches!(store, Some(StoreLocation::Memory(None)) | None) {
        fields.problem("clock", "'manual' needs a store of its own: use `store: 'memory:'`");
    }
    let durability = fields
        .one_of(
            "durability",
            &[("full", Durability::Full), ("relaxed", Durability::Relaxed)],
        )
        .unwrap_or_default();
    let store_timeout = fields.integer("storeTimeout", 100, MAX_STORE_TIMEOUT_MS);
    let encryption_keys = encryption_keys::read_option(&mut fields);
    let telemetry = fields.boolean("telemetry").unwrap_or(false);
    let engine = EngineConfig {
        worker: read_worker(&mut fields),
        retention: read_retention(&mut fields),
        figures: read_metrics(&mut fields),
        manual_clock: clock.manual,
        secrets,
        resources,
        outbound: read_outbound(&mut fields),
        expressions,
        sessions,
        failpoints: Failpoints::from_environment(),
        ..EngineConfig::default()
    };
    if !fields.problems.is_empty() {
        return Err(Error::invalid(fields.problems));
    }
    Ok(Options {
        defaults,
        store: store.unwrap_or(StoreLocation::Memory(None)),
        host: Host::of(environment),
        durability,
        clock_at: clock.at,
        store_timeout: store_timeout.map(|ms| Duration::from_millis(ms.unsigned_abs())),
        encryption_keys,
        telemetry,
        engine,
    })
}

/// Whether a problem is of what another one is about already, or of a part of that.
fn is_told(problem: &Problem, others: &[Problem]) -> bool {
    let is_within = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let is_same = |path: &str| is_within(path, &problem.path) || is_within(&problem.path, path);
    others.iter().any(|other| is_same(&other.path))
}

/// Upper bound of `storeTimeout`: ten minutes.
const MAX_STORE_TIMEOUT_MS: i64 = 600_000;

const OPTION_FIELDS: [&str; 20] = [
    "accessKey",
    "product",
    "env",
    "store",
    "worker",
    "timezone",
    "clock",
    "retention",
    "metrics",
    "durability",
    "storeTimeout",
    "encryptionKeys",
    "logger",
    "maxInputBytes",
    "resources",
    "secrets",
    "inputSecrets",
    "expressions",
    "outbound",
    "telemetry",
];

fn read_defaults(
    fields: &mut Fields<'_>,
    expressions: Arc<ExpressionResolver>,
    sessions: Arc<SessionVerifier>,
) -> Defaults {
    Defaults {
        product: fields.tag("product").map(|tag| tag.as_ref().into()),
        env: fields.tag("env").map(|tag| tag.as_ref().into()),
        timezone: read_timezone(fields),
        max_input_bytes: fields
            .integer("maxInputBytes", 1, MAX_INPUT_BYTES)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(Defaults::default().max_input_bytes),
        expressions,
        mark: None,
        sessions,
    }
}

/// Text that no input has by chance, nor on purpose.
fn new_mark() -> Box<str> {
    format!("${}", Uuid::new_v4().simple()).into()
}

/// Beginning of the environment variables that hold secrets.
pub const SECRET_VARIABLE_PREFIX: &str = "DUCTAPE_SECRET_";

/// Values that are given; none when a function (`true`) is to be asked for them.
fn read_secrets(fields: &mut Fields<'_>, environment: &[(String, String)]) -> HashMap<Box<str>, Box<str>> {
    let Some(text) = fields.raw("secrets") else {
        let variables = environment.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(SECRET_VARIABLE_PREFIX)?.into(), value.as_str().into()))
        });
        return variables.collect();
    };
    if text == "true" {
        return HashMap::new();
    }
    serde_json::from_str(text).unwrap_or_else(|_| {
        fields.problem("secrets", "must be an object of strings, or a function of the key");
        HashMap::new()
    })
}

const EXPRESSION_MODES: [(&str, bool); 2] = [("marked", true), ("everywhere", false)];

/// Bounds of expressions, and whether they are marked: `'marked'`, or an object with `mode`.
fn read_expressions(fields: &mut Fields<'_>) -> (Limits, bool) {
    let default = Limits::default();
    if fields.raw("expressions").is_some_and(|text| text.starts_with('"')) {
        let mode = fields.one_of("expressions", &EXPRESSION_MODES);
        return (default, mode == Some(true));
    }
    let Some(mut inner) = fields.object("expressions") else {
        return (default, false);
    };
    inner.refuse_unknown(&["mode", "maxDepth", "maxSteps", "maxOutputBytes"]);
    let are_marked = inner.one_of("mode", &EXPRESSION_MODES) == Some(true);
    let mut limit = |name: &str, most: usize, default: usize| {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let given = inner.integer(name, 1, most);
        given.and_then(|given| usize::try_from(given).ok()).unwrap_or(default)
    };
    let limits = Limits {
        depth: limit("maxDepth", Limits::MAX_DEPTH, default.depth),
        steps: limit("maxSteps", 100_000_000, default.steps),
        output_bytes: limit("maxOutputBytes", 256 << 20, default.output_bytes),
    };
    fields.absorb(inner);
    (limits, are_marked)
}

fn read_timezone(fields: &mut Fields<'_>) -> Box<str> {
    let Some(name) = fields.string("timezone") else {
        return "UTC".into();
    };
    match Zone::get(&name) {
        Ok(zone) => zone.name().into(),
        Err(unknown) => {
            fields.problem("timezone", unknown.to_string());
            "UTC".into()
        }
    }
}

/// Environment variables of hosts whose disk does not outlive the call, with the name of the host.
pub const SERVERLESS_VARIABLES: [(&str, &str); 6] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "AWS Lambda"),
    ("VERCEL", "Vercel"),
    ("NETLIFY", "Netlify"),
    ("FUNCTIONS_WORKER_RUNTIME", "Azure Functions"),
    ("FUNCTION_TARGET", "Google Cloud Functions"),
    ("K_SERVICE", "Cloud Run"),
];

/// Reads the address of a store.
pub(super) fn read_store(
    fields: &mut Fields<'_>,
    name: &'static str,
    environment: &[(String, String)],
) -> Option<StoreLocation> {
    let variable = |name: &str| environment.iter().find(|(key, value)| key == name && !value.is_empty());
    let given = fields.string(name).map(std::borrow::Cow::into_owned);
    if fields.raw(name).is_some() && given.is_none() {
        return None;
    }
    let Some(url) = given.or_else(|| variable("DUCTAPE_STORE").map(|(_, value)| value.clone())) else {
        let sign = SERVERLESS_VARIABLES.iter().find(|(name, _)| variable(name).is_some());
        return match sign {
            Some((_, host)) => Some(StoreLocation::Serverless((*host).into())),
            None => sqlite(fields, name, ".ductape/jobs.db", true),
        };
    };
    let (scheme, rest) = url.split_once(':').unwrap_or(("", &url));
    match scheme {
        "memory" => Some(StoreLocation::Memory((!rest.is_empty()).then(|| rest.into()))),
        "sqlite" if rest.is_empty() => {
            fields.problem(name, "needs a path, as in 'sqlite:data/jobs.db'");
            None
        }
        "sqlite" => sqlite(fields, name, rest, false),
        "postgres" | "postgresql" => match Address::parse(&url) {
            Ok(address) => Some(StoreLocation::Postgres(Box::new(address))),
            Err(error) => {
                error
                    .details
                    .into_iter()
                    .for_each(|problem| fields.problem(name, problem.message));
                None
            }
        },
        _ => {
            // Not the value itself: a URL may hold a password.
            fields.problem(
                name,
                "must be 'sqlite:PATH', 'memory:', 'memory:NAME' or 'postgres://…'",
            );
            None
        }
    }
}

fn sqlite(fields: &mut Fields<'_>, name: &'static str, path: &str, default: bool) -> Option<StoreLocation> {
    match std::path::absolute(path) {
        Ok(path) => Some(StoreLocation::Sqlite { path, default }),
        Err(error) => {
            fields.problem(name, format!("'{path}' is no usable path: {error}"));
            None
        }
    }
}

fn read_worker(fields: &mut Fields<'_>) -> Option<WorkerConfig> {
    match fields.raw("worker") {
        None => return Some(WorkerConfig::default()),
        Some("false") => return None,
        Some("true") => return Some(WorkerConfig::default()),
        Some(_) => {}
    }
    let mut inner = fields.object("worker")?;
    other_queues::refuse_unknown(
        &mut inner,
        &["concurrency", "namespaces", "products", "envs"],
        Place::Constructor,
    );
    let concurrency = inner.integer("concurrency", 1, MAX_CONCURRENCY);
    let namespaces = inner.tags("namespaces", Namespace::ALL.len());
    let namespaces = namespaces.map(|names| read_namespaces(&mut inner, &names));
    let filter = WorkerFilter {
        namespaces,
        products: inner.tags("products", 1_000),
        envs: inner.tags("envs", 1_000),
    };
    fields.absorb(inner);
    let concurrency = concurrency.and_then(|count| usize::try_from(count).ok());
    Some(WorkerConfig {
        concurrency: concurrency.unwrap_or(WorkerConfig::default().concurrency),
        filter,
    })
}

fn read_namespaces(fields: &mut Fields<'_>, names: &[Box<str>]) -> Vec<Namespace> {
    let mut namespaces = Vec::new();
    for name in names {
        match Namespace::parse_public(name) {
            Some(namespace) => namespaces.push(namespace),
            None => {
                let known = Namespace::ALL.map(Namespace::as_str).join(", ");
                fields.problem(
                    "namespaces",
                    format!("'{}' is none; known are {known}", super::fields::truncated(name)),
                );
            }
        }
    }
    namespaces
}

fn read_retention(fields: &mut Fields<'_>) -> Retention {
    const KEEP_FOREVER: RetentionLimit = RetentionLimit { age: None, count: None };
    if fields.raw("retention") == Some("false") {
        return Retention {
            completed: KEEP_FOREVER,
            failed: KEEP_FOREVER,
            cancelled: KEEP_FOREVER,
            runs: KEEP_FOREVER,
        };
    }
    let default = Retention::default();
    let Some(mut inner) = fields.object("retention") else {
        return default;
    };
    inner.refuse_unknown(&["completed", "failed", "cancelled", "runs"]);
    let retention = Retention {
        completed: read_keep(&mut inner, "completed", default.completed),
        failed: read_keep(&mut inner, "failed", default.failed),
        cancelled: read_keep(&mut inner, "cancelled", default.cancelled),
        runs: read_keep(&mut inner, "runs", default.runs),
    };
    fields.absorb(inner);
    retention
}

/// How long figures over time are kept; `None`: nothing is counted.
fn read_metrics(fields: &mut Fields<'_>) -> Option<FigureRetention> {
    match fields.raw("metrics") {
        Some("false") => return None,
        Some("true") => return Some(FigureRetention::default()),
        _ => {}
    }
    let default = FigureRetention::default();
    let Some(mut inner) = fields.object("metrics") else {
        return Some(default);
    };
    inner.refuse_unknown(&["keepMinutes", "keepHours"]);
    let kept = FigureRetention {
        minutes: inner
            .integer("keepMinutes", FigureSpan::Minute.ms(), MAX_SAFE_INTEGER)
            .unwrap_or(default.minutes),
        hours: inner
            .integer("keepHours", FigureSpan::Hour.ms(), MAX_SAFE_INTEGER)
            .unwrap_or(default.hours),
    };
    fields.absorb(inner);
    Some(kept)
}

fn read_keep(fields: &mut Fields<'_>, name: &str, default: RetentionLimit) -> RetentionLimit {
    match fields.raw(name) {
        None => return default,
        Some("false") => return RetentionLimit { age: None, count: None },
        Some(_) => {}
    }
    let Some(mut inner) = fields.object(name) else {
        return default;
    };
    inner.refuse_unknown(&["age", "count"]);
    let keep = RetentionLimit {
        age: inner.integer("age", 0, MAX_SAFE_INTEGER),
        count: inner.integer("count", 0, MAX_SAFE_INTEGER),
    };
    if inner.raw("age").is_none() && inner.raw("count").is_none() {
        inner.problem(
            "age",
            "is missing; give `age` in ms, `count`, or both, or `false` to keep everything",
        );
    }
    fields.absorb(inner);
    keep
}
