-- Figures over time: what happened to the jobs of a route in a minute (span 0) or an hour (1) that begins at `at`; JSON.
CREATE TABLE figures (
    span    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    route   INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (span, at, route)
) WITHOUT ROWID;

-- The last run of a series that is over, and how many runs have failed since one completed, and since when: what was cancelled does not
-- count.
ALTER TABLE series ADD COLUMN last_run INTEGER;
ALTER TABLE series ADD COLUMN last_status INTEGER;
ALTER TABLE series ADD COLUMN last_ended INTEGER;
ALTER TABLE series ADD COLUMN failing_runs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN failing_since INTEGER;
CREATE INDEX series_failing ON series (job) WHERE failing_runs > 0;

-- As far as the history of the stored series reaches.
UPDATE series
SET last_run = (SELECT max(run) FROM runs WHERE runs.job = series.job AND status IN (3, 4, 5))
WHERE ended > 0;
UPDATE series
SET (last_status, last_ended) = (
    SELECT status, ended FROM runs
    WHERE runs.job = series.job AND run = last_run AND status IN (3, 4, 5)
    ORDER BY attempt DESC
    LIMIT 1
)
WHERE last_run IS NOT NULL;
UPDATE series
SET (failing_runs, failing_since) = (
    SELECT count(*), min(ended) FROM runs
    WHERE runs.job = series.job AND status = 4
      AND run > coalesce((SELECT max(run) FROM runs AS good WHERE good.job = series.job AND good.status = 3), 0)
)
WHERE failed > 0;
