-- What the migrations make, at once, for a store that is new: run one after the other they take three times as long. A test compares both,
-- letter by letter: columns that were added later stand as SQLite writes them.

CREATE TABLE routes (
    id        INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    product   TEXT NOT NULL,
    env       TEXT NOT NULL,
    target    TEXT NOT NULL, -- JSON array of the target fields
    UNIQUE (namespace, product, env, target)
);
CREATE TABLE numbers (
    last_job INTEGER NOT NULL
);
INSERT INTO numbers VALUES (0);
CREATE TABLE jobs (
    seq       INTEGER PRIMARY KEY,
    id        NOT NULL UNIQUE, -- 16-byte blob of a generated id, text of a caller's own
    route     INTEGER NOT NULL,
    priority  INTEGER NOT NULL,
    due       INTEGER,          -- first attempt of the current run; NULL: a series that had no run to come
    retries   INTEGER NOT NULL,
    recurring INTEGER NOT NULL,
    run       INTEGER NOT NULL, -- current run of a one-off; of no meaning for a series
    created   INTEGER NOT NULL,
    updated   INTEGER NOT NULL, -- dispatch or replacement; later changes show in the other tables
    key       INTEGER,          -- concurrency key
    options   TEXT,             -- JSON, NULL = defaults
    input     TEXT NOT NULL     -- JSON as given
);
CREATE INDEX jobs_by_route ON jobs (route, seq);
CREATE TABLE series (
    job          INTEGER PRIMARY KEY,
    spec         TEXT NOT NULL,    -- JSON of the recurrence
    version      INTEGER NOT NULL, -- changes whenever next_at or spec does
    fingerprint  INTEGER,          -- of schedule and input, when nobody chose an id for the job
    state        INTEGER NOT NULL, -- 0 while it goes on, else the number of the status it ended in
    ended_at     INTEGER,          -- when it ended
    reason       TEXT,             -- why it was cancelled
    next_at      INTEGER,
    held         INTEGER NOT NULL DEFAULT 0, -- 1: next_at is not due before the live runs have ended
    last_at      INTEGER,          -- grid point of its last run
    runs         INTEGER NOT NULL, -- created so far
    ended        INTEGER NOT NULL, -- of these, over
    succeeded    INTEGER NOT NULL, -- of these, completed
    failed       INTEGER NOT NULL, -- of these, failed
    paused       INTEGER NOT NULL DEFAULT 0, -- 1: no attempt starts until it is resumed, whatever next_at says
    failed_at    INTEGER,          -- grid point of the last run that failed and was not run again
    reruns       INTEGER NOT NULL DEFAULT 0, -- runs on request; they do not count towards the limit
    live_queued  INTEGER NOT NULL,
    live_running INTEGER NOT NULL,
    live_waiting INTEGER NOT NULL  -- for a retry or after a snooze
, settled TEXT, last_run INTEGER, last_status INTEGER, last_ended INTEGER, failing_runs INTEGER NOT NULL DEFAULT 0, failing_since INTEGER);
CREATE INDEX series_by_fingerprint ON series (fingerprint) WHERE state = 0 AND fingerprint IS NOT NULL;
CREATE INDEX series_by_next ON series (next_at) WHERE next_at IS NOT NULL AND paused = 0;
CREATE INDEX series_paused ON series (job) WHERE paused = 1;
CREATE TABLE occurrences (
    job          INTEGER NOT NULL,
    run          INTEGER NOT NULL,
    scheduled_at INTEGER NOT NULL,
    due          INTEGER NOT NULL, -- of the first attempt: later than its grid point when it is run again
    missed       INTEGER NOT NULL,
    PRIMARY KEY (job, run)
) WITHOUT ROWID;
CREATE TABLE far (
    day INTEGER NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (day, job)
) WITHOUT ROWID;
CREATE TABLE scheduled (
    due     INTEGER NOT NULL,
    job     INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    PRIMARY KEY (due, job, run)
) WITHOUT ROWID;
CREATE TABLE ready (
    route    INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    job      INTEGER NOT NULL,
    run      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    crashes  INTEGER NOT NULL,
    key      INTEGER, -- concurrency key of the job, so that a claim need not read the wide row
    PRIMARY KEY (route, priority, due, job, run)
) WITHOUT ROWID;
CREATE TABLE held (
    key      INTEGER NOT NULL,
    route    INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    due      INTEGER NOT NULL,
    job      INTEGER NOT NULL,
    run      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    crashes  INTEGER NOT NULL,
    PRIMARY KEY (key, route, priority, due, job, run)
) WITHOUT ROWID;
CREATE TABLE keys (
    id      INTEGER PRIMARY KEY,
    kind    INTEGER NOT NULL, -- what is limited; 0: runs at once
    product TEXT NOT NULL,
    env     TEXT NOT NULL,
    name    TEXT NOT NULL,
    max     INTEGER NOT NULL, -- the limit of the latest dispatch
    running INTEGER NOT NULL, -- rows of `running` with this key
    owed    INTEGER NOT NULL, -- free slots for which no held run has been made ready yet
    jobs    INTEGER NOT NULL, -- jobs with this key
    UNIQUE (kind, product, env, name)
);
CREATE TABLE uniques (
    route     INTEGER NOT NULL,
    key       TEXT NOT NULL,
    job       INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    -- What a dispatch answers once retention has deleted the job; NULL before.
    id,
    status    INTEGER,
    due       INTEGER,
    recurring INTEGER,
    PRIMARY KEY (route, key)
) WITHOUT ROWID;
CREATE INDEX uniques_left_behind ON uniques (until) WHERE id IS NOT NULL;
CREATE TABLE paused (
    job     INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    due     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    PRIMARY KEY (job, run)
) WITHOUT ROWID;
CREATE TABLE running (
    job       INTEGER NOT NULL,
    run       INTEGER NOT NULL,
    owner     INTEGER NOT NULL,
    token     INTEGER NOT NULL,
    attempt   INTEGER NOT NULL,
    crashes   INTEGER NOT NULL,
    route     INTEGER NOT NULL,
    priority  INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    recurring INTEGER NOT NULL, -- as in jobs, so that a completion need not read the wide row
    key       INTEGER,          -- concurrency key it was claimed with, whatever its job has now
    PRIMARY KEY (job, run)
) WITHOUT ROWID;
CREATE TABLE runs (
    job      INTEGER NOT NULL,
    run      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    status   INTEGER NOT NULL,
    started  INTEGER, -- NULL: it never did
    ended    INTEGER NOT NULL,
    next_due INTEGER, -- when the run goes on, if it does
    error    TEXT,    -- JSON
    result   TEXT,    -- JSON
    PRIMARY KEY (job, run, attempt)
) WITHOUT ROWID;
CREATE TABLE steps (
    number INTEGER PRIMARY KEY, -- rises with the order in which they were finished
    job    INTEGER NOT NULL,
    run    INTEGER NOT NULL,
    tag    TEXT NOT NULL,
    result TEXT,                -- JSON
    UNIQUE (job, run, tag)
);
CREATE TABLE ended (
    status INTEGER NOT NULL,
    ended  INTEGER NOT NULL,
    job    INTEGER NOT NULL,
    PRIMARY KEY (status, ended, job)
) WITHOUT ROWID;
CREATE TABLE gaps (
    job   INTEGER NOT NULL,
    first INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    last  INTEGER NOT NULL,
    count INTEGER NOT NULL,
    runs  INTEGER NOT NULL, -- runs of the series before it: equal numbers have no run between them
    PRIMARY KEY (job, first, kind)
) WITHOUT ROWID;
CREATE TABLE tags (
    tag TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (tag, job)
) WITHOUT ROWID;
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE entries (
    kind    INTEGER NOT NULL, -- 0 cache, 1 session
    space   TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    expires INTEGER NOT NULL, -- wall time
    PRIMARY KEY (kind, space, key)
) WITHOUT ROWID;
CREATE INDEX entries_by_end ON entries (expires);
CREATE TABLE progress (
    job   INTEGER PRIMARY KEY,
    value TEXT NOT NULL -- JSON
);
CREATE TABLE logs (
    job     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE TABLE webhooks (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    url          TEXT NOT NULL UNIQUE,
    events       INTEGER NOT NULL, -- one bit each
    secret       TEXT NOT NULL,
    created      INTEGER NOT NULL,
    updated      INTEGER NOT NULL,
    delivered    INTEGER,          -- when a delivery last arrived
    failed       INTEGER,          -- when an attempt last failed
    last_error   TEXT,
    failed_count INTEGER NOT NULL DEFAULT 0, -- deliveries given up
    disabled     INTEGER           -- since when
);
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    id           NOT NULL, -- as in jobs
    route        INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    scheduled_at INTEGER NOT NULL,
    executions   INTEGER NOT NULL,
    error        TEXT -- JSON, without the stack
);
CREATE TABLE counters (
    route INTEGER NOT NULL,
    kind  INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (route, kind)
) WITHOUT ROWID;
CREATE TABLE instances (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    boot  TEXT NOT NULL,
    lease INTEGER NOT NULL -- end of the lease, monotonic ms of that boot
, slots INTEGER, seen INTEGER, host TEXT, pid INTEGER, registered INTEGER, version TEXT, handlers TEXT);
CREATE INDEX ready_suspects ON ready (route, priority, due, job, run) WHERE crashes >= 3;
CREATE TABLE figures (
    span    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    route   INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (span, at, route)
) WITHOUT ROWID;
CREATE INDEX series_failing ON series (job) WHERE failing_runs > 0;
CREATE TABLE audit (
    at     INTEGER NOT NULL,
    id     TEXT NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL, -- JSON
    PRIMARY KEY (at, id)
) WITHOUT ROWID;
