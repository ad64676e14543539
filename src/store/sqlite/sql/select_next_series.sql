SELECT next_at FROM series WHERE next_at > ?1 AND paused = 0 ORDER BY next_at LIMIT 1
