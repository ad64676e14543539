SELECT count(*) FROM (SELECT 1 FROM ready WHERE route = ?1 LIMIT ?2)
