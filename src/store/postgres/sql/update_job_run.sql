UPDATE ductape.jobs SET run = $2, due = $3, updated = $4 WHERE seq = $1
