UPDATE keys SET max = ?2, owed = ?3, jobs = jobs + 1 WHERE id = ?1
