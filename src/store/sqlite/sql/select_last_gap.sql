SELECT first, kind, runs, last FROM gaps WHERE job = ?1 ORDER BY first DESC, kind DESC LIMIT 1
