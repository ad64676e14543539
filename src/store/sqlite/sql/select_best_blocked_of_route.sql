SELECT key, route, priority, due, job, run, attempt, crashes
FROM held
WHERE key = ?1 AND route = ?2
ORDER BY priority, due, job, run
LIMIT ?3
