SELECT run, attempt, status, started, ended, error, result FROM ductape.runs
WHERE job = $1 AND (run, attempt) < ($2::bigint, $3::bigint)
ORDER BY run DESC, attempt DESC LIMIT $4
