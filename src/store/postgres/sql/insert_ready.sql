INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
