INSERT INTO ductape.paused (due, job, run, attempt, crashes) SELECT * FROM unnest($1, $2, $3, $4, $5)
