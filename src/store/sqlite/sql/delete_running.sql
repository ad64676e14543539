DELETE FROM running WHERE job = ?1 AND run = ?2
