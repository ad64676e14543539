INSERT INTO series (job, spec, version, state, next_at, runs, ended, succeeded, failed, live_queued, live_running, live_waiting, fingerprint)
VALUES (?1, ?2, 1, 0, ?3, 0, 0, 0, 0, 0, 0, 0, ?4)
