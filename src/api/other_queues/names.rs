//! The options of other queues by where they are given, each with a sentence about what does the same here.

/// Names of options, and a sentence about what does it here.
pub(super) type Table = &'static [(&'static [&'static str], &'static str)];

const LATER: &str = "what runs later has `schedule: { delay }` in ms, or `schedule: { start_at }`";
pub(super) const RETRIES: &str = "`retries` is how many attempts may follow the first one";
const BACKOFF: &str = "delays between attempts are `retryConfig: { initialDelay, backoffMultiplier, maxDelay }`, in ms";
const KEEP: &str = "how long ended jobs are kept is `retention` of the constructor";
const OWN_ID: &str = "your own id is `job_id`; `unique: { key, period }` merges dispatches into one job";
const MERGED: &str = "`unique: { key, period }` merges dispatches into one job";
const NO_LOCKS: &str =
    "needs no counterpart: a process renews what it holds by itself, and what a dead one held is taken over";
const NO_FLOWS: &str = "jobs that wait for other jobs are not there yet; dispatch the next one at the end of a handler";
const NO_RATES: &str = "limits by time are not there yet; `concurrency: { key, limit }` limits the runs at once";
const NO_POLL: &str = "needs no counterpart: due jobs start by themselves";

pub(super) const DISPATCH: Table = &[
    (
        &[
            "delaySeconds",
            "delayed",
            "scheduledFor",
            "in",
            "delay",
            "delayUntil",
            "startAfter",
            "runAt",
            "run_at",
            "at",
            "eta",
            "countdown",
            "when",
        ],
        LATER,
    ),
    (
        &["start_at", "startAt", "startDate"],
        "it belongs into `schedule`, as in `schedule: { start_at }`",
    ),
    (
        &[
            "repeatInterval",
            "repeat",
            "repeatEvery",
            "cron",
            "crontab",
            "cronExpression",
            "pattern",
            "every",
            "interval",
        ],
        "what repeats is `schedule: { cron }`, `{ every }` in ms, or `{ interval: 'P1D' }`",
    ),
    (
        &["tz", "timezone"],
        "the time zone belongs into `schedule`, as in `schedule: { cron, tz }`",
    ),
    (
        &["limit", "endDate", "end_date"],
        "it belongs into `schedule`, as in `schedule: { every, limit }`",
    ),
    (
        &[
            "attempts",
            "maxAttempts",
            "max_attempts",
            "retry",
            "retryLimit",
            "maxRetries",
            "max_retries",
        ],
        RETRIES,
    ),
    (
        &[
            "maxRetryDelay",
            "backoff",
            "retryDelay",
            "retryBackoff",
            "retryDelayMax",
            "retry_delay",
            "backoffStrategy",
        ],
        BACKOFF,
    ),
    (
        &[
            "removeOnComplete",
            "removeOnFail",
            "removeOnSuccess",
            "removeOnFailure",
            "removeDependencyOnFailure",
            "keepJobs",
            "retentionSeconds",
            "retentionMinutes",
            "retentionHours",
            "retentionDays",
            "deleteAfterSeconds",
            "keepUntil",
            "ttl",
        ],
        KEEP,
    ),
    (
        &[
            "idempotencyKey",
            "id",
            "jobId",
            "jobKey",
            "taskId",
            "jid",
            "singletonKey",
        ],
        OWN_ID,
    ),
    (
        &[
            "deduplication",
            "debounce",
            "throttle",
            "singletonSeconds",
            "singletonMinutes",
            "singletonHours",
            "singletonNextSlot",
            "jobKeyMode",
            "uniqueFor",
            "unique_for",
            "uniqueKey",
            "dedupe",
        ],
        MERGED,
    ),
    (
        &[
            "expireIn",
            "expireInSeconds",
            "expireInMinutes",
            "expireInHours",
            "timeLimit",
            "time_limit",
            "soft_time_limit",
        ],
        "the time limit of an attempt is `timeout`, in ms",
    ),
    (&["lifo"], "jobs with a lower `priority` start first"),
    (
        &["data", "payload", "args", "arguments", "kwargs"],
        "what a handler gets is `input`, an object",
    ),
    (
        &["name", "jobName", "task", "taskName", "identifier", "class"],
        "what runs the job is its target: `tag` of a feature, `app` and `event` of an action",
    ),
    (
        &["queue", "queueName", "queue_name"],
        "there are no queues: jobs have a target, and `worker` of the constructor says which a process runs",
    ),
    (&["group", "limiter", "rateLimit", "rate_limit"], NO_RATES),
    (
        &[
            "dependsOn",
            "failParentOnFailure",
            "onComplete",
            "onSuccess",
            "parent",
            "children",
            "opts",
            "dependencies",
            "after",
            "flow",
        ],
        NO_FLOWS,
    ),
    (
        &["sizeLimit"],
        "the largest input is `maxInputBytes` of the constructor",
    ),
    (
        &["keepLogs", "stackTraceLimit"],
        "needs no counterpart: logs and errors have limits of their own",
    ),
    (
        &[
            "lockDuration",
            "lockRenewTime",
            "stalledInterval",
            "maxStalledCount",
            "visibilityTimeout",
            "heartbeat",
        ],
        NO_LOCKS,
    ),
    (
        &["metadata", "meta", "headers", "context"],
        "what goes with a job is a part of `input`, or one of its `tags`",
    ),
    (
        &["deadLetter", "deadLetterQueue"],
        "jobs that failed for good are kept: `jobs.list({ status: 'failed' })` has them, and `jobs.retryMany` runs them again",
    ),
];

pub(super) const RETRY: Table = &[
    (
        &["attempts", "retries", "maxAttempts", "maxRetries", "limit"],
        "it stands beside `retryConfig`: `retries` is how many attempts may follow the first one",
    ),
    (
        &["delay", "minTimeout", "initialInterval", "baseDelay", "retryDelay"],
        "the first delay is `initialDelay`, in ms",
    ),
    (
        &["maxTimeout", "maxInterval", "maximumDelay"],
        "the longest delay is `maxDelay`, in ms",
    ),
    (
        &["factor", "multiplier", "exponent", "base", "backoffRate"],
        "it is `backoffMultiplier`; 1 keeps the delay as it is",
    ),
    (
        &["type", "strategy", "kind"],
        "`backoffMultiplier: 1` is a fixed delay, `2` doubles it each time",
    ),
    (&["randomize", "randomness"], "`jitter: true` draws delays by chance"),
];

pub(super) const SCHEDULE: Table = &[
    (
        &["pattern", "cronExpression", "expression", "crontab", "rule"],
        "a cron expression is `cron`",
    ),
    (
        &["at", "runAt", "run_at", "startDate", "date", "time", "from"],
        "the time of the first run is `start_at`",
    ),
    (
        &["timezone", "timeZone", "zone", "utcOffset"],
        "the time zone is `tz`, as in 'Europe/Paris'",
    ),
    (
        &["seconds", "minutes", "hours", "days", "ms"],
        "an interval is `every`, in ms, or `interval: 'P1D'` by the calendar",
    ),
    (
        &["count", "times", "maxRuns", "iterations"],
        "the number of runs is `limit`",
    ),
    (
        &["until", "end", "to", "end_date", "stopAt"],
        "no run begins after `endDate`",
    ),
    (
        &["immediately", "runOnInit", "runImmediately"],
        "with `every` and without `start_at` the first run is at once; `jobs.runNow(id)` runs any job now",
    ),
    (
        &["skipDays", "excludeDates", "holidays"],
        "dates without runs are `except: ['2026-12-25']`",
    ),
    (
        &["overlap", "noOverlap", "preventOverrun", "allowOverlap"],
        "what happens while the last run is going is `ifRunning: 'skip'` or `'allow'`",
    ),
    (
        &["jitter", "randomDelay", "splay"],
        "`spread` gives each job an offset of its own, of up to so many ms",
    ),
    (
        &["key", "jobId", "name"],
        "the id of a recurring job is `job_id` beside `schedule`",
    ),
    (
        &["repeat", "recurring"],
        "what repeats has `cron`, `every` in ms, or `interval: 'P1D'`",
    ),
];

pub(super) const HANDLER: Table = &[
    (&["limiter", "rateLimit", "rate_limit"], NO_RATES),
    (
        &[
            "lockDuration",
            "lockRenewTime",
            "lockLifetime",
            "stalledInterval",
            "maxStalledCount",
            "skipStalledCheck",
            "skipLockRenewal",
            "visibilityTimeout",
        ],
        NO_LOCKS,
    ),
    (
        &[
            "teamSize",
            "teamConcurrency",
            "batchSize",
            "lockLimit",
            "parallelism",
            "workers",
            "prefetch",
        ],
        "how many attempts run at once is `concurrency`",
    ),
    (
        &["attempts", "retries", "maxAttempts", "retryLimit"],
        "`retries` is given by the dispatch",
    ),
    (
        &["backoff", "retryDelay", "retryBackoff", "retryConfig"],
        "`retryConfig` is given by the dispatch",
    ),
    (&["removeOnComplete", "removeOnFail", "keepJobs"], KEEP),
    (
        &[
            "pollInterval",
            "pollingInterval",
            "pollingIntervalSeconds",
            "newJobCheckInterval",
            "drainDelay",
        ],
        NO_POLL,
    ),
    (
        &["useWorkerThreads", "sandbox", "sandboxed"],
        "handlers run on the thread that registers them; work that blocks belongs into a worker thread of yours, with an instance of its own",
    ),
    (
        &["autorun"],
        "a process works from its first handler on; `worker: false` of the constructor keeps it from that",
    ),
];

pub(super) const CONSTRUCTOR: Table = &[
    (
        &[
            "connection",
            "connectionString",
            "pgPool",
            "pool",
            "db",
            "database",
            "databaseUrl",
            "host",
            "url",
            "uri",
            "mongo",
            "path",
            "file",
            "filename",
        ],
        "where jobs are is `store`: 'sqlite:jobs.db' or 'postgres://host/database'",
    ),
    (
        &["redis", "redisOptions", "broker_url"],
        "no Redis is needed: jobs are in `store`, 'sqlite:jobs.db' or 'postgres://host/database'",
    ),
    (
        &["schema", "prefix", "tablePrefix", "collection"],
        "to keep apart stores of one database, name a schema in `store`: 'postgres://host/database?schema=jobs'",
    ),
    (
        &[
            "concurrency",
            "maxConcurrency",
            "defaultConcurrency",
            "teamSize",
            "parallelism",
            "maxPoolSize",
        ],
        "how many attempts run at once is `worker: { concurrency }`",
    ),
    (
        &["queue", "queues", "queueName", "name"],
        "there are no queues: `worker: { namespaces, products, envs }` says which jobs a process runs",
    ),
    (
        &["defaultJobOptions", "retries", "attempts", "backoff", "retryConfig"],
        "retries and time limits are given by each dispatch",
    ),
    (
        &[
            "removeOnComplete",
            "removeOnFail",
            "keepJobs",
            "archiveCompletedAfterSeconds",
            "deleteAfterDays",
        ],
        KEEP,
    ),
    (
        &[
            "lockDuration",
            "lockRenewTime",
            "defaultLockLifetime",
            "stalledInterval",
            "maxStalledCount",
            "visibilityTimeout",
        ],
        NO_LOCKS,
    ),
    (
        &[
            "pollInterval",
            "pollingInterval",
            "processEvery",
            "newJobCheckInterval",
            "drainDelay",
        ],
        NO_POLL,
    ),
    (&["limiter", "rateLimit"], NO_RATES),
    (
        &["autorun", "noHandleSignals", "noSupervisor"],
        "`worker: false` keeps a process from running jobs; `start({ signals: false })` leaves signals to the program",
    ),
    (&["tz", "timeZone"], "the time zone of schedules is `timezone`"),
    (
        &[
            "timeout",
            "shutdownTimeout",
            "gracefulShutdownAbortTimeout",
            "signal",
            "signals",
        ],
        "how long running handlers have at the end is `start({ timeout })`, or `close({ timeout })`",
    ),
    (&["settings", "advanced"], "each setting is an option of its own"),
    (
        &["batchSize", "prefetch"],
        "how many attempts run at once is `worker: { concurrency }`",
    ),
];
