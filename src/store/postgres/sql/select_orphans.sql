SELECT 'ready rows of another route, priority or kind than their job', (
    SELECT count(*) FROM ductape.ready JOIN ductape.jobs ON seq = job
    WHERE jobs.route <> ready.route OR jobs.priority <> ready.priority OR jobs.recurring <> ready.recurring
)
UNION ALL
SELECT 'scheduled or running rows of another kind than their job',
    (SELECT count(*) FROM ductape.scheduled JOIN ductape.jobs ON seq = job WHERE jobs.recurring <> scheduled.recurring)
    + (SELECT count(*) FROM ductape.running JOIN ductape.jobs ON seq = job WHERE jobs.recurring <> running.recurring)
UNION ALL
SELECT 'running rows without an owner', (SELECT count(*) FROM ductape.running WHERE owner NOT IN (SELECT id FROM ductape.instances))
UNION ALL
SELECT 'ended rows that their series or history does not know', (
    SELECT count(*) FROM ductape.ended
    WHERE NOT EXISTS (SELECT 1 FROM ductape.series WHERE series.job = ended.job AND state = status AND ended_at = ended.ended)
      AND NOT EXISTS (SELECT 1 FROM ductape.runs JOIN ductape.jobs ON jobs.seq = runs.job AND jobs.run = runs.run
                      WHERE runs.job = ended.job AND runs.ended = ended.ended AND runs.status = ended.status)
)
UNION ALL
SELECT 'occurrences without a series that goes on',
    (SELECT count(*) FROM ductape.occurrences WHERE job NOT IN (SELECT job FROM ductape.series WHERE state = 0))
UNION ALL
SELECT 'attempts without a job', (SELECT count(*) FROM ductape.runs WHERE job NOT IN (SELECT seq FROM ductape.jobs))
UNION ALL
SELECT 'series or gaps without a recurring job',
    (SELECT count(*) FROM ductape.series WHERE job NOT IN (SELECT seq FROM ductape.jobs WHERE recurring))
    + (SELECT count(*) FROM ductape.gaps WHERE job NOT IN (SELECT seq FROM ductape.jobs WHERE recurring))
UNION ALL
SELECT 'tags that a job lacks, or has and that are not there',
    (SELECT count(*) FROM (
        SELECT tag, job FROM ductape.tags
        EXCEPT SELECT value, seq FROM ductape.jobs, json_array_elements_text(jobs.options::json -> 'tags') AS given (value)) AS extra)
    + (SELECT count(*) FROM (
        SELECT value, seq FROM ductape.jobs, json_array_elements_text(jobs.options::json -> 'tags') AS given (value)
        EXCEPT SELECT tag, job FROM ductape.tags) AS lacking)
UNION ALL
SELECT 'progress or logs without a job',
    (SELECT count(*) FROM ductape.progress WHERE job NOT IN (SELECT seq FROM ductape.jobs))
    + (SELECT count(*) FROM ductape.logs WHERE job NOT IN (SELECT seq FROM ductape.jobs))
UNION ALL
SELECT 'steps of a one-off that are not of its run, or whose run has completed', (
    SELECT count(*) FROM ductape.steps JOIN ductape.jobs ON jobs.seq = steps.job
    WHERE NOT jobs.recurring
      AND (steps.run <> jobs.run OR EXISTS (SELECT 1 FROM ductape.ended WHERE ended.job = jobs.seq AND ended.status = 3))
)
UNION ALL
SELECT 'steps without a job, or of a run of a series that neither goes on nor has failed', (
    SELECT count(*) FROM ductape.steps
    WHERE steps.job NOT IN (SELECT seq FROM ductape.jobs WHERE NOT recurring)
      AND NOT EXISTS (SELECT 1 FROM ductape.occurrences WHERE occurrences.job = steps.job AND occurrences.run = steps.run)
      AND NOT EXISTS (SELECT 1 FROM ductape.jobs JOIN ductape.runs ON runs.job = jobs.seq
                      WHERE jobs.seq = steps.job AND runs.run = steps.run AND runs.status = 4)
)
