DELETE FROM ductape.paused WHERE job = $1 AND run = $2
