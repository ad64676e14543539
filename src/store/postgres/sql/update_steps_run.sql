UPDATE ductape.steps SET run = $3 WHERE job = $1 AND run = $2
