SELECT spec, state, ended_at, reason, next_at, last_at, runs, ended, succeeded, failed,
       live_queued, live_running, live_waiting, paused, failed_at, reruns,
       (SELECT key FROM jobs WHERE seq = job)
FROM series
WHERE job = ?1
