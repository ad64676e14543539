SELECT scheduled_at, missed FROM occurrences WHERE job = ?1 AND run = ?2
