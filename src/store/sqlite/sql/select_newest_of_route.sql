SELECT seq, route, priority, due, recurring, run, created, key FROM jobs
WHERE route = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2
