WITH old AS MATERIALIZED (
    SELECT ended, job FROM ductape.ended WHERE status = $1 AND ended < $2 AND (ended, job) > ($5, $6) ORDER BY ended, job LIMIT $3
), locked AS MATERIALIZED (
    SELECT jobs.seq, jobs.route, jobs.options, jobs.id, jobs.name, jobs.recurring, coalesce(jobs.due, jobs.created) AS due, old.ended
    FROM old JOIN ductape.jobs ON jobs.seq = old.job
    ORDER BY jobs.seq
    FOR UPDATE OF jobs SKIP LOCKED
), gone AS MATERIALIZED (
    -- A job that was reactivated before it was locked has no row here, and stays.
    DELETE FROM ductape.ended USING locked
    WHERE ended.status = $1 AND ended.ended = locked.ended AND ended.job = locked.seq
    RETURNING ended.job, locked.*
), t AS (
    DELETE FROM ductape.tags
    USING gone, json_array_elements_text(
        CASE WHEN gone.options LIKE '%"tags"%' THEN gone.options::json -> 'tags' ELSE '[]' END
    ) AS given (tag)
    WHERE tags.tag = given.tag AND tags.job = gone.job
), kept AS (
    -- A unique key may outlive its job; it then keeps the answer for dispatches.
    UPDATE ductape.uniques
    SET id = gone.id, name = gone.name, status = $1, recurring = gone.recurring,
        due = coalesce((SELECT last_at FROM ductape.series WHERE series.job = gone.seq), gone.due)
    FROM gone
    WHERE gone.options LIKE '%"unique"%' AND uniques.route = gone.route AND uniques.job = gone.seq AND until > $4
      AND uniques.key = (CASE WHEN gone.options LIKE '%"unique"%' THEN gone.options::json -> 'unique' ->> 'key' END)
), over AS (
    DELETE FROM ductape.uniques
    USING gone
    WHERE gone.options LIKE '%"unique"%' AND uniques.route = gone.route AND uniques.job = gone.seq AND until <= $4
      AND uniques.key = (CASE WHEN gone.options LIKE '%"unique"%' THEN gone.options::json -> 'unique' ->> 'key' END)
), j AS (
    DELETE FROM ductape.jobs USING gone WHERE jobs.seq = gone.job
), s AS (
    DELETE FROM ductape.series USING gone WHERE series.job = gone.job
), o AS (
    DELETE FROM ductape.occurrences USING gone WHERE occurrences.job = gone.job
), r AS (
    DELETE FROM ductape.runs USING gone WHERE runs.job = gone.job
), g AS (
    DELETE FROM ductape.gaps USING gone WHERE gaps.job = gone.job
), p AS (
    DELETE FROM ductape.progress USING gone WHERE progress.job = gone.job
), l AS (
    DELETE FROM ductape.logs USING gone WHERE logs.job = gone.job
), st AS (
    DELETE FROM ductape.steps USING gone WHERE steps.job = gone.job
), c AS (
    INSERT INTO ductape.counters (route, kind, n) SELECT gone.route, $1, -count(*) FROM gone GROUP BY gone.route
)
SELECT (SELECT count(*) FROM gone), last.ended, last.job
FROM (SELECT) AS one
LEFT JOIN (SELECT ended, job FROM old ORDER BY ended DESC, job DESC LIMIT 1) AS last ON true
