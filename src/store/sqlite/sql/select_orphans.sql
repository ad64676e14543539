SELECT 'jobs with a number that may be assigned again', (
    SELECT count(*) FROM jobs WHERE seq > (SELECT last_job FROM numbers)
)
UNION ALL
SELECT 'ready rows without a job, or of another route, priority or key', (
    SELECT count(*) FROM ready WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE seq = job AND jobs.route = ready.route
        AND jobs.priority = ready.priority AND jobs.key IS ready.key)
)
UNION ALL
SELECT 'held rows without a job, or of another route, priority or key', (
    SELECT count(*) FROM held WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE seq = job AND jobs.route = held.route
        AND jobs.priority = held.priority AND jobs.key = held.key)
)
UNION ALL
SELECT 'jobs whose key is not the one in their options', (
    SELECT count(*) FROM jobs JOIN routes ON routes.id = route
    WHERE (SELECT name FROM keys WHERE id = key AND keys.product = routes.product AND keys.env = routes.env)
        IS NOT json_extract(options, '$.concurrency.key')
)
UNION ALL
SELECT 'keys with wrong counts, or that nothing refers to', (
    SELECT count(*) FROM keys WHERE jobs <> (SELECT count(*) FROM jobs WHERE key = keys.id)
        OR running <> (SELECT count(*) FROM running WHERE key = keys.id) OR jobs + running = 0
        OR owed NOT BETWEEN 0 AND max
)
UNION ALL
SELECT 'keys with a free slot and blocked runs, of which too few were made ready', (
    SELECT count(*) FROM (SELECT DISTINCT key, route FROM held) AS waiting JOIN keys ON keys.id = waiting.key
    WHERE max > running + owed
        + (SELECT count(*) FROM ready WHERE ready.key = keys.id AND ready.route = waiting.route)
)
UNION ALL
SELECT 'unique keys without a job, of another key or route than their job, or left behind by a job that exists', (
    SELECT count(*) FROM uniques
    WHERE (id IS NULL AND NOT EXISTS (
            SELECT 1 FROM jobs
            WHERE seq = job AND jobs.route = uniques.route AND json_extract(options, '$.unique.key') = uniques.key))
        OR (id IS NOT NULL AND EXISTS (SELECT 1 FROM jobs WHERE seq = job))
)
UNION ALL
SELECT 'scheduled rows without a job', (
    SELECT count(*) FROM scheduled WHERE job NOT IN (SELECT seq FROM jobs)
)
UNION ALL
SELECT 'far rows without a job', (
    SELECT count(*) FROM far WHERE job NOT IN (SELECT seq FROM jobs)
)
UNION ALL
SELECT 'paused rows without a job', (
    SELECT count(*) FROM paused WHERE job NOT IN (SELECT seq FROM jobs)
)
UNION ALL
SELECT 'tags without a job that has them, or that are missing', (
    WITH wanted AS (SELECT DISTINCT value AS tag, seq AS job FROM jobs, json_each(jobs.options, '$.tags'))
        SELECT (SELECT count(*) FROM (SELECT * FROM wanted EXCEPT SELECT tag, job FROM tags))
        + (SELECT count(*) FROM (SELECT tag, job FROM tags EXCEPT SELECT * FROM wanted))
)
UNION ALL
SELECT 'running rows without a job or an owner', (
    SELECT count(*) FROM running WHERE job NOT IN (SELECT seq FROM jobs) OR owner NOT IN (SELECT id FROM instances)
)
UNION ALL
SELECT 'occurrences without a series that has not ended', (
    SELECT count(*) FROM occurrences WHERE job NOT IN (SELECT job FROM series WHERE state = 0)
)
UNION ALL
SELECT 'steps of a one-off that are not of its run, or whose run has completed', (
    SELECT count(*) FROM steps JOIN jobs ON seq = job
    WHERE NOT recurring
        AND (steps.run <> jobs.run OR EXISTS (SELECT 1 FROM ended WHERE ended.job = seq AND status = 3))
)
UNION ALL
SELECT 'steps without a job, or of a run of a series that is neither live nor failed', (
    SELECT count(*) FROM steps WHERE job NOT IN (SELECT seq FROM jobs WHERE NOT recurring)
        AND NOT EXISTS (SELECT 1 FROM occurrences WHERE occurrences.job = steps.job AND occurrences.run = steps.run)
        AND NOT EXISTS (
            SELECT 1 FROM jobs JOIN runs ON runs.job = seq
            WHERE seq = steps.job AND runs.run = steps.run AND runs.status = 4)
)
UNION ALL
SELECT 'attempts without a job', (
    SELECT count(*) FROM runs WHERE job NOT IN (SELECT seq FROM jobs)
)
UNION ALL
SELECT 'ended rows without a job', (
    SELECT count(*) FROM ended WHERE job NOT IN (SELECT seq FROM jobs)
)
UNION ALL
SELECT 'series or gaps without a recurring job', (
    SELECT (SELECT count(*) FROM series WHERE job NOT IN (SELECT seq FROM jobs WHERE recurring))
        + (SELECT count(*) FROM gaps WHERE job NOT IN (SELECT seq FROM jobs WHERE recurring))
)
