DELETE FROM occurrences WHERE job = ?1
