SELECT error FROM runs WHERE job = ?1 AND run = ?2 ORDER BY attempt DESC LIMIT 1
