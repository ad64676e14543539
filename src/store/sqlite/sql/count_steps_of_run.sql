SELECT count(*) FROM steps WHERE job = ?1 AND run = ?2 AND substr(tag, 1, 8) <> 'ductape:'
