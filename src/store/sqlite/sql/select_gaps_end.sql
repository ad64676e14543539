SELECT max(last) FROM gaps WHERE job = ?1
