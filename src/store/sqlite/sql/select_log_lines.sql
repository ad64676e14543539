SELECT run, attempt, at, message FROM logs WHERE job = ?1 ORDER BY number
