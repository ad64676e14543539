SELECT count(*)
FROM ductape.series JOIN ductape.jobs ON jobs.seq = series.job
WHERE failing_runs > 0 AND ($1::bigint[] IS NULL OR route = ANY ($1))
