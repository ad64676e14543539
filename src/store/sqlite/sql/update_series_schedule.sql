UPDATE series
SET spec = ?2,
    next_at = ?3,
    held = 0,
    version = version + 1,
    state = 0,
    ended_at = NULL,
    reason = NULL
WHERE job = ?1
