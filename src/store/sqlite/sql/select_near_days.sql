SELECT day, job FROM far WHERE day <= ?1 ORDER BY day, job LIMIT ?2
