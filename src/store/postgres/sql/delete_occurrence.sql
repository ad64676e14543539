DELETE FROM ductape.occurrences WHERE job = $1 AND run = $2
