DELETE FROM runs WHERE job = ?1 AND run = ?2 AND attempt = ?3
