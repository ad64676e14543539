UPDATE series
SET ended = ?2,
    succeeded = ?3,
    failed = ?4,
    live_queued = ?5,
    live_running = ?6,
    live_waiting = ?7,
    failed_at = ?8,
    last_run = ?9,
    last_status = ?10,
    last_ended = ?11,
    failing_runs = ?12,
    failing_since = ?13
WHERE job = ?1
