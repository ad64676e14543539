DELETE FROM gaps WHERE job = ?1 AND first = ?2 AND kind = ?3
