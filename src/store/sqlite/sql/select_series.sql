SELECT version, state, ended_at, next_at, held, runs, reruns, ended, succeeded, failed,
       live_queued, live_running, live_waiting, paused, failed_at,
       spec, reason, last_at, (SELECT key FROM jobs WHERE seq = job), settled
FROM series
WHERE job = ?1
