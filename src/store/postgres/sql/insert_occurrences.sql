INSERT INTO ductape.occurrences (job, run, scheduled_at, due, missed)
SELECT * FROM unnest($1, $2, $3, $4, $5)
