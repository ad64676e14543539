SELECT first FROM gaps WHERE job = ?1 AND kind = ?2 AND runs = ?3 AND last < ?4 ORDER BY first DESC LIMIT 1
