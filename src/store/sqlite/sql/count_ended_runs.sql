SELECT count(*), coalesce(sum(status = 3), 0), coalesce(sum(status = 4), 0) FROM runs
WHERE job = ?1 AND status IN (3, 4, 5)
