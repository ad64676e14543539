SELECT 1
FROM ductape.runs
WHERE job = $1 AND run = $2 AND status = $3 AND started = $4 AND ended = $5
LIMIT 1
