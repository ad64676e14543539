UPDATE series SET paused = 0, held = 0, next_at = ?2, version = version + 1 WHERE job = ?1
