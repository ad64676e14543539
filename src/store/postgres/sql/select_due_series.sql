SELECT series.job, jobs.id, jobs.name, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting
FROM ductape.series
JOIN ductape.jobs ON jobs.seq = series.job
WHERE next_at <= $1 AND NOT paused AND (NOT held OR live_queued + live_running + live_waiting = 0)
ORDER BY next_at
LIMIT $2
