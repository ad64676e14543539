WITH held AS MATERIALIZED (
    -- Locked, so that the run cannot end or change its owner concurrently.
    SELECT 1 FROM ductape.running WHERE job = $1 AND run = $2 AND owner = $3 AND token = $4 FOR KEY SHARE
), known AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE left(tag, 8) <> 'ductape:') AS n, count(*) FILTER (WHERE tag = $5) > 0 AS has
    FROM ductape.steps WHERE job = $1 AND run = $2
), put AS (
    INSERT INTO ductape.steps (job, run, tag, result)
    SELECT $1, $2, $5, $6 FROM held, known WHERE NOT has AND (n < $7 OR left($5, 8) = 'ductape:')
    ON CONFLICT (job, run, tag) DO NOTHING
)
SELECT EXISTS (SELECT 1 FROM held), has OR n < $7 OR left($5, 8) = 'ductape:' FROM known
