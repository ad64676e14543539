-- Figures over time: what happened to the jobs of a route in a minute (span 0) or an hour (1) that begins at `at`; JSON.
CREATE TABLE ductape.figures (
    span    integer NOT NULL,
    at      bigint NOT NULL,
    route   bigint NOT NULL,
    figures text NOT NULL,
    PRIMARY KEY (span, at, route)
);

-- The last run of a series that is over, and how many runs have failed since one completed, and since when: what was cancelled does not
-- count.
ALTER TABLE ductape.series ADD COLUMN last_run bigint;
ALTER TABLE ductape.series ADD COLUMN last_status integer;
ALTER TABLE ductape.series ADD COLUMN last_ended bigint;
ALTER TABLE ductape.series ADD COLUMN failing_runs bigint NOT NULL DEFAULT 0;
ALTER TABLE ductape.series ADD COLUMN failing_since bigint;
CREATE INDEX series_failing ON ductape.series (job) WHERE failing_runs > 0;

-- As far as the history of the stored series reaches.
UPDATE ductape.series AS s
SET last_run = r.run, last_status = r.status, last_ended = r.ended
FROM (
    SELECT DISTINCT ON (job) job, run, status, ended
    FROM ductape.runs
    WHERE status IN (3, 4, 5) AND EXISTS (SELECT 1 FROM ductape.series WHERE series.job = runs.job)
    ORDER BY job, run DESC, attempt DESC
) AS r
WHERE s.job = r.job;
UPDATE ductape.series AS s
SET failing_runs = f.runs, failing_since = f.since
FROM (
    SELECT r.job, count(*) AS runs, min(r.ended) AS since
    FROM ductape.series AS t JOIN ductape.runs AS r ON r.job = t.job
    WHERE t.failed > 0 AND r.status = 4
      AND NOT EXISTS (SELECT 1 FROM ductape.runs AS good WHERE good.job = r.job AND good.status = 3 AND good.run > r.run)
    GROUP BY r.job
) AS f
WHERE s.job = f.job;
