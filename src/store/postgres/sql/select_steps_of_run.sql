SELECT tag, result FROM ductape.steps WHERE job = $1 AND run = $2 ORDER BY number
