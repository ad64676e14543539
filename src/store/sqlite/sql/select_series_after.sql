SELECT series.job, jobs.id, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting, settled, runs,
    max(jobs.updated, coalesce(last_at, 0), coalesce((SELECT max(last) FROM gaps WHERE gaps.job = series.job), 0)), paused, jobs.created
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE series.job > ?1 AND (next_at IS NOT NULL OR live_queued + live_running + live_waiting > 0)
ORDER BY series.job
LIMIT ?2
