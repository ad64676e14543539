SELECT result
FROM runs
WHERE job = ?1 AND status IN (3, 4, 5)
ORDER BY run DESC, attempt DESC
LIMIT 1
