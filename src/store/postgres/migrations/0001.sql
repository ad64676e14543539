-- The same tables as in a SQLite file; `docs/design/postgres.md` says what differs. `ductape.` stands for the schema
-- that the address names. Payloads are text: they are handed back byte for byte.

CREATE TABLE ductape.routes (
    id        bigint PRIMARY KEY, -- given under a lock on this table, so that a lower number is never seen after a higher
    namespace text NOT NULL,
    product   text NOT NULL,
    env       text NOT NULL,
    target    text NOT NULL,
    UNIQUE (namespace, product, env, target)
);

CREATE SEQUENCE ductape.job_numbers;

CREATE TABLE ductape.jobs (
    seq       bigint PRIMARY KEY, -- from job_numbers
    id        uuid,             -- of a job whose id was generated; else NULL
    name      text COLLATE "C", -- the caller's own id; else NULL
    route     bigint NOT NULL,
    priority  integer NOT NULL,
    due       bigint,
    retries   integer NOT NULL,
    recurring boolean NOT NULL,
    run       bigint NOT NULL,
    created   bigint NOT NULL,
    updated   bigint NOT NULL,
    key       bigint,
    options   text,
    input     text NOT NULL
);
CREATE UNIQUE INDEX jobs_by_id ON ductape.jobs (id) WHERE id IS NOT NULL;
CREATE UNIQUE INDEX jobs_by_name ON ductape.jobs (name) WHERE name IS NOT NULL;
-- Partial, so that it serves only who asks for a route: a plan made while the table is small may else look a number up by
-- walking through this one.
CREATE INDEX jobs_by_route ON ductape.jobs (route, seq) WHERE route IS NOT NULL;
CREATE INDEX jobs_by_key ON ductape.jobs (key) WHERE key IS NOT NULL;

CREATE TABLE ductape.series (
    job          bigint PRIMARY KEY,
    spec         text NOT NULL,
    version      bigint NOT NULL,
    fingerprint  bigint,
    state        integer NOT NULL,
    ended_at     bigint,
    reason       text,
    next_at      bigint,
    held         boolean NOT NULL DEFAULT false,
    last_at      bigint,
    runs         bigint NOT NULL,
    ended        bigint NOT NULL,
    succeeded    bigint NOT NULL,
    failed       bigint NOT NULL,
    paused       boolean NOT NULL DEFAULT false,
    failed_at    bigint,
    reruns       bigint NOT NULL DEFAULT 0,
    live_queued  bigint NOT NULL,
    live_running bigint NOT NULL,
    live_waiting bigint NOT NULL
);
CREATE INDEX series_by_fingerprint ON ductape.series (fingerprint) WHERE state = 0 AND fingerprint IS NOT NULL;
CREATE INDEX series_by_next ON ductape.series (next_at) WHERE next_at IS NOT NULL AND NOT paused;
CREATE INDEX series_paused ON ductape.series (job) WHERE paused;
CREATE INDEX series_going ON ductape.series (job) WHERE state = 0;

CREATE TABLE ductape.occurrences (
    job          bigint NOT NULL,
    run          bigint NOT NULL,
    scheduled_at bigint NOT NULL,
    due          bigint NOT NULL,
    missed       bigint NOT NULL,
    PRIMARY KEY (job, run)
);

CREATE TABLE ductape.far (
    day bigint NOT NULL,
    job bigint NOT NULL,
    PRIMARY KEY (day, job)
);

CREATE TABLE ductape.scheduled (
    due       bigint NOT NULL,
    job       bigint NOT NULL,
    run       bigint NOT NULL,
    attempt   integer NOT NULL,
    crashes   integer NOT NULL,
    recurring boolean NOT NULL, -- as in jobs: whether the row of the series is to be locked first
    PRIMARY KEY (due, job, run)
);

CREATE TABLE ductape.ready (
    route     bigint NOT NULL,
    priority  integer NOT NULL,
    due       bigint NOT NULL,
    job       bigint NOT NULL,
    run       bigint NOT NULL,
    attempt   integer NOT NULL,
    crashes   integer NOT NULL,
    recurring boolean NOT NULL,
    key       bigint,
    PRIMARY KEY (route, priority, due, job, run)
);
CREATE INDEX ready_by_key ON ductape.ready (key, route, priority, due, job, run) WHERE key IS NOT NULL;

CREATE TABLE ductape.held (
    key       bigint NOT NULL,
    route     bigint NOT NULL,
    priority  integer NOT NULL,
    due       bigint NOT NULL,
    job       bigint NOT NULL,
    run       bigint NOT NULL,
    attempt   integer NOT NULL,
    crashes   integer NOT NULL,
    recurring boolean NOT NULL,
    PRIMARY KEY (key, route, priority, due, job, run)
);

-- Concurrency keys. How many runs with a key are going is counted in `running`, whose rows say it already.
CREATE TABLE ductape.keys (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product text NOT NULL,
    env     text NOT NULL,
    name    text NOT NULL,
    max     bigint NOT NULL, -- the limit of the latest dispatch
    UNIQUE (product, env, name)
);

CREATE TABLE ductape.uniques (
    route     bigint NOT NULL,
    key       text COLLATE "C" NOT NULL,
    job       bigint NOT NULL,
    until     bigint NOT NULL,
    -- What a dispatch answers once retention has deleted the job; NULL before.
    id        uuid,
    name      text,
    status    integer,
    due       bigint,
    recurring boolean,
    PRIMARY KEY (route, key)
);
CREATE INDEX uniques_left_behind ON ductape.uniques (until) WHERE status IS NOT NULL;

CREATE TABLE ductape.paused (
    job     bigint NOT NULL,
    run     bigint NOT NULL,
    due     bigint NOT NULL,
    attempt integer NOT NULL,
    crashes integer NOT NULL,
    PRIMARY KEY (job, run)
);

CREATE TABLE ductape.running (
    job       bigint NOT NULL,
    run       bigint NOT NULL,
    owner     bigint NOT NULL,
    token     bigint NOT NULL,
    attempt   integer NOT NULL,
    crashes   integer NOT NULL,
    route     bigint NOT NULL,
    priority  integer NOT NULL,
    due       bigint NOT NULL,
    started   bigint NOT NULL,
    recurring boolean NOT NULL,
    key       bigint, -- concurrency key it was claimed with, whatever its job has now
    PRIMARY KEY (job, run)
);
CREATE INDEX running_by_key ON ductape.running (key) WHERE key IS NOT NULL;

CREATE TABLE ductape.runs (
    job      bigint NOT NULL,
    run      bigint NOT NULL,
    attempt  integer NOT NULL,
    status   integer NOT NULL,
    started  bigint,
    ended    bigint NOT NULL,
    next_due bigint,
    error    text,
    result   text,
    PRIMARY KEY (job, run, attempt)
);

CREATE TABLE ductape.ended (
    status integer NOT NULL,
    ended  bigint NOT NULL,
    job    bigint NOT NULL,
    PRIMARY KEY (status, ended, job)
);

CREATE TABLE ductape.gaps (
    job   bigint NOT NULL,
    first bigint NOT NULL,
    kind  integer NOT NULL,
    last  bigint NOT NULL,
    count bigint NOT NULL,
    runs  bigint NOT NULL,
    PRIMARY KEY (job, first, kind)
);

CREATE TABLE ductape.tags (
    tag text COLLATE "C" NOT NULL,
    job bigint NOT NULL,
    PRIMARY KEY (tag, job)
);

CREATE TABLE ductape.marks (
    name  text PRIMARY KEY,
    value text NOT NULL
);

-- Values with an end: 0 of caches, 1 of sessions.
CREATE TABLE ductape.entries (
    kind    integer NOT NULL,
    space   text NOT NULL,
    key     text NOT NULL,
    value   text NOT NULL,
    expires bigint NOT NULL,
    PRIMARY KEY (kind, space, key)
);
CREATE INDEX entries_by_end ON ductape.entries (expires);

CREATE TABLE ductape.progress (
    job   bigint PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE ductape.logs (
    job     bigint NOT NULL,
    number  bigint NOT NULL,
    run     bigint NOT NULL,
    attempt integer NOT NULL,
    at      bigint NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (job, number)
);

CREATE TABLE ductape.webhooks (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id           text NOT NULL UNIQUE,
    url          text NOT NULL UNIQUE,
    events       bigint NOT NULL, -- one bit each
    secret       text NOT NULL,
    created      bigint NOT NULL,
    updated      bigint NOT NULL,
    delivered    bigint,
    failed       bigint,
    last_error   text,
    failed_count bigint NOT NULL DEFAULT 0,
    disabled     bigint
);

CREATE TABLE ductape.outbox (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         integer NOT NULL,
    at           bigint NOT NULL,
    id           uuid,
    name         text,
    route        bigint NOT NULL,
    status       integer NOT NULL,
    scheduled_at bigint NOT NULL,
    executions   bigint NOT NULL,
    error        text
);

-- Changes of the counts, summed up now and then: one row for each route and kind would be written by everybody.
CREATE TABLE ductape.counters (
    route bigint NOT NULL,
    kind  integer NOT NULL,
    n     bigint NOT NULL
);

CREATE TABLE ductape.instances (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lease bigint NOT NULL -- end of the lease, ms of the server's clock
);

-- Queue tables are small and their rows short-lived: vacuum by the number of dead rows, and without rest.
ALTER TABLE ductape.ready SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000);
ALTER TABLE ductape.scheduled SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000);
ALTER TABLE ductape.running SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000);
ALTER TABLE ductape.counters SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE ductape.occurrences SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE ductape.series SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE ductape.instances SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
ALTER TABLE ductape.held SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000);
ALTER TABLE ductape.outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 5000);
