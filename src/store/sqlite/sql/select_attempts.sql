SELECT run, attempt, status, started, ended, error, result FROM runs WHERE job = ?1 AND (run, attempt) < (?2, ?3)
ORDER BY run DESC, attempt DESC LIMIT ?4
