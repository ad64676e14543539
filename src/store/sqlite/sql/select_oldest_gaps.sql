SELECT first, kind, runs, last FROM gaps WHERE job = ?1 ORDER BY first, kind LIMIT ?2
