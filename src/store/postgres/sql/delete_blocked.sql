DELETE FROM ductape.held
WHERE key = $1 AND route = $2 AND priority = $3 AND due = $4 AND job = $5 AND run = $6
