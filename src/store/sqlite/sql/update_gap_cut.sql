UPDATE gaps SET last = ?4, count = ?5 WHERE job = ?1 AND kind = ?2 AND first = ?3
