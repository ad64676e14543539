INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
