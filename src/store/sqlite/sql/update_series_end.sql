UPDATE series
SET state = ?2,
    ended_at = ?3,
    reason = ?4,
    next_at = NULL,
    paused = 0,
    version = version + 1
WHERE job = ?1
