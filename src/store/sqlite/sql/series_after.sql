SELECT series.job, jobs.id, version, spec, next_at, runs, live_queued + live_running + live_waiting
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE series.job > ?1 AND next_at IS NOT NULL
ORDER BY series.job
LIMIT ?2
