DELETE FROM ductape.scheduled WHERE due = $1 AND job = $2 AND run = $3
