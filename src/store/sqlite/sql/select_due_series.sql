SELECT series.job, jobs.id, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE next_at <= ?1 AND paused = 0 AND (held = 0 OR live_queued + live_running + live_waiting = 0)
ORDER BY next_at
LIMIT ?2
