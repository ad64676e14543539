UPDATE series
SET ended = ?2,
    succeeded = ?3,
    failed = ?4,
    live_queued = ?5,
    live_running = ?6,
    live_waiting = ?7,
    failed_at = ?8
WHERE job = ?1
