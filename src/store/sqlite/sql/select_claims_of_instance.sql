SELECT job, run, token FROM running WHERE owner = ?1 ORDER BY job, run LIMIT ?2
