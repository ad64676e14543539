DELETE FROM ductape.steps WHERE job = $1
