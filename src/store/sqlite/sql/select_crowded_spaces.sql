SELECT space, count(*) FROM entries WHERE kind = ?1 GROUP BY space HAVING count(*) > ?2
