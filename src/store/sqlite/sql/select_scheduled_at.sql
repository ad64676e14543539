SELECT scheduled_at FROM occurrences WHERE job = ?1 AND run = ?2
