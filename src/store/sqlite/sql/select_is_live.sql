SELECT 1 FROM occurrences WHERE job = ?1 AND run = ?2
