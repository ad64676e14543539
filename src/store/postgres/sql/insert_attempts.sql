INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due, error, result)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
-- A snoozed attempt that has now ended is the same attempt.
ON CONFLICT (job, run, attempt) DO UPDATE
SET status = excluded.status,
    started = excluded.started,
    ended = excluded.ended,
    next_due = excluded.next_due,
    error = excluded.error,
    result = excluded.result
