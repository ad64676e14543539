DELETE FROM ductape.runs WHERE job = $1 AND run <= $2
