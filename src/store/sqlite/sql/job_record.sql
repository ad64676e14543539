SELECT id, retries, updated, options, input
FROM jobs
WHERE seq = ?1
