SELECT coalesce(series.ended, counted.ended), coalesce(series.succeeded, counted.succeeded), coalesce(series.failed, counted.failed)
FROM (
    SELECT count(*) AS ended, count(*) FILTER (WHERE status = 3) AS succeeded, count(*) FILTER (WHERE status = 4) AS failed
    FROM ductape.runs
    WHERE job = $1 AND status IN (3, 4, 5)
) AS counted
LEFT JOIN ductape.series ON series.job = $1
