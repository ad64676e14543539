SELECT job, runs FROM series WHERE job > ?1 AND state = 0 ORDER BY job LIMIT ?2
