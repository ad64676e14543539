UPDATE keys SET running = running - 1 WHERE id = ?1 RETURNING running, max, owed, jobs
