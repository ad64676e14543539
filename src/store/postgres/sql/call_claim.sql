-- Inputs up to so many bytes in all, those of the best runs, and at least one: the others are NULL. The last row has no token.
-- The grace of the schedule only of a run that is late, for which it matters.
SELECT job, run, attempt, crashes, token, id, name, route, due, scheduled_at, missed, priority, retries, options,
       CASE WHEN sum(octet_length(input)) OVER (ORDER BY token ROWS UNBOUNDED PRECEDING) - octet_length(input) < $16 THEN input END,
       created, recurring, short, (SELECT coalesce(max(added), 0) FROM ductape.routes),
       CASE WHEN recurring AND scheduled_at < $17 THEN (
           SELECT coalesce((spec::json ->> 'grace')::bigint, $18) FROM ductape.series WHERE series.job = claimed.job
       ) END
FROM ductape.claim_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS claimed
