SELECT version, state, ended_at, next_at, held, runs, reruns, ended, succeeded, failed,
       live_queued, live_running, live_waiting, paused, failed_at, last_run, last_status, last_ended,
       failing_runs, failing_since,
       jobs.seq, jobs.route, jobs.priority, jobs.due, jobs.recurring, jobs.run, jobs.created, jobs.key
FROM series
JOIN jobs ON jobs.seq = series.job
WHERE series.job = ?1
