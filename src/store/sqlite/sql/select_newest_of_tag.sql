SELECT seq, route, priority, due, recurring, run, created, key FROM tags JOIN jobs ON seq = job
WHERE tag = ?1 AND job < ?2 ORDER BY job DESC LIMIT ?3
