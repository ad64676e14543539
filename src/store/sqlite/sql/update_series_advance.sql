UPDATE series
SET next_at = ?3,
    held = ?6,
    last_at = coalesce(?5, last_at),
    runs = runs + ?4,
    version = version + 1
WHERE job = ?1 AND version = ?2 AND state = 0
RETURNING runs
