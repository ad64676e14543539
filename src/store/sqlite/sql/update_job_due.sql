UPDATE jobs SET due = ?2, updated = ?3 WHERE seq = ?1
