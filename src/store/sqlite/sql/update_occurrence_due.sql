UPDATE occurrences SET due = ?3 WHERE job = ?1 AND run = ?2
