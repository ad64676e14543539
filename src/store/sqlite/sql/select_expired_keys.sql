SELECT route, key, job FROM uniques WHERE id IS NOT NULL AND until <= ?1 ORDER BY until LIMIT ?2
