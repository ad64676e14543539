-- Names no more columns than an advance changes: of each index with one of those that are named the entry is written anew.
UPDATE series
SET version = ?2,
    next_at = ?3,
    held = ?4,
    runs = ?5,
    live_queued = ?6,
    last_at = coalesce(?7, last_at),
    settled = ?8
WHERE job = ?1
