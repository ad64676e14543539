SELECT count(*)
FROM (
    SELECT 1 FROM ductape.ready
    WHERE route = $1 AND (priority, due, job, run) < ($2, $3, $4, $5)
    LIMIT $6
) AS ahead
