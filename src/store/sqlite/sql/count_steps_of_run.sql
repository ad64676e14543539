SELECT count(*) FROM steps WHERE job = ?1 AND run = ?2
