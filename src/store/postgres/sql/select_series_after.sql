SELECT series.job, jobs.id, jobs.name, version, spec, next_at, runs - reruns, live_queued + live_running + live_waiting,
       settled, runs,
       greatest(jobs.updated, last_at, (SELECT max(last) FROM ductape.gaps WHERE gaps.job = series.job)), paused, jobs.created
FROM ductape.series
JOIN ductape.jobs ON jobs.seq = series.job
WHERE series.job > $1 AND (next_at IS NOT NULL OR live_queued + live_running + live_waiting > 0)
ORDER BY series.job
LIMIT $2
