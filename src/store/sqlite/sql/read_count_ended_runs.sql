SELECT count(*) FROM runs WHERE job = ?1 AND status IN (3, 4, 5)
