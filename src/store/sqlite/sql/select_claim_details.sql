SELECT id, due, retries, recurring, created, options, input
FROM jobs
WHERE seq = ?1
