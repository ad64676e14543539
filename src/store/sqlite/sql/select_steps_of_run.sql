SELECT tag, result FROM steps WHERE job = ?1 AND run = ?2 ORDER BY number
