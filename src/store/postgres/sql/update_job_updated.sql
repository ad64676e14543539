UPDATE ductape.jobs SET updated = $2 WHERE seq = $1
