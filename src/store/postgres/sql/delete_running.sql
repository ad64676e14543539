DELETE FROM ductape.running WHERE job = $1 AND run = $2 AND token = $3
