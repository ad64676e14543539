WITH next AS MATERIALIZED (
    SELECT job, runs FROM ductape.series WHERE job > $1 AND state = 0 ORDER BY job LIMIT $4
), old AS MATERIALIZED (
    -- The oldest rows up to the first that is kept, so that the cost is that of the deletions.
    SELECT next.job, found.run, found.attempt
    FROM next
    CROSS JOIN LATERAL (
        SELECT run, attempt,
               bool_and(run <= coalesce(next.runs - $2::bigint, 0) OR ended < $3) OVER (ORDER BY run, attempt) AS old
        FROM (
            SELECT run, attempt, ended FROM ductape.runs WHERE runs.job = next.job ORDER BY run, attempt LIMIT 500
        ) AS first
    ) AS found
    WHERE found.old
), gone AS (
    DELETE FROM ductape.runs USING old
    WHERE runs.job = old.job AND runs.run = old.run AND runs.attempt = old.attempt
      AND NOT EXISTS (SELECT 1 FROM ductape.occurrences WHERE occurrences.job = old.job AND occurrences.run = old.run)
    RETURNING runs.job, runs.run, runs.attempt
), forgotten AS (
    -- A run that failed needs its steps as long as its last attempt is kept.
    DELETE FROM ductape.steps USING gone
    WHERE steps.job = gone.job AND steps.run = gone.run
      AND NOT EXISTS (SELECT 1 FROM ductape.runs WHERE runs.job = gone.job AND runs.run = gone.run
                      AND (runs.job, runs.run, runs.attempt) NOT IN (SELECT job, run, attempt FROM gone))
)
SELECT (SELECT max(job) FROM next), (SELECT count(*) FROM next),
       coalesce((SELECT max(n) FROM (SELECT count(*) AS n FROM gone GROUP BY job) AS counted), 0)
