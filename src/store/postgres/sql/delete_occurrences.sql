DELETE FROM ductape.occurrences WHERE job = $1
