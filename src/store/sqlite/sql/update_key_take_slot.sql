UPDATE keys SET running = running + 1 WHERE id = ?1 AND running < max RETURNING owed
