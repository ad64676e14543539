SELECT run, attempt, at, message FROM ductape.logs WHERE job = $1 ORDER BY number
