SELECT space, count(*) FROM ductape.entries WHERE kind = $1 GROUP BY space HAVING count(*) > $2 ORDER BY space
