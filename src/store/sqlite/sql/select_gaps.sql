SELECT kind, first, last, count FROM gaps WHERE job = ?1 ORDER BY first DESC, kind DESC LIMIT ?2
