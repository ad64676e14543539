SELECT run, attempt, run, ended FROM runs WHERE job = ?1 ORDER BY run, attempt LIMIT ?2
