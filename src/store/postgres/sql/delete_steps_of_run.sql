DELETE FROM ductape.steps WHERE job = $1 AND run = $2
