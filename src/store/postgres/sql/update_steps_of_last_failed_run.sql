UPDATE ductape.steps SET run = $2
WHERE job = $1 AND run = (SELECT run FROM ductape.runs WHERE job = $1 AND status = $3 ORDER BY ended DESC, run DESC LIMIT 1)
