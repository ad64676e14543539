SELECT job, run, token FROM ductape.running WHERE owner = $1 ORDER BY job, run
