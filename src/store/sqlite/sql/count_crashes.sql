SELECT count(*) FROM runs WHERE job = ?1 AND run = ?2 AND status = 9
