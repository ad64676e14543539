SELECT started, ended, status, next_due
FROM runs
WHERE job = ?1 AND run > ?2 AND (ended >= ?3 OR next_due >= ?3) AND started IS NOT NULL
ORDER BY run DESC, attempt DESC
LIMIT ?4
