SELECT run, attempt, status, started, ended, error, result FROM ductape.runs WHERE job = $1
ORDER BY run DESC, attempt DESC LIMIT $2
