DELETE FROM occurrences WHERE job = ?1 AND run = ?2 RETURNING scheduled_at
