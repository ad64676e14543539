INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due, error, result)
SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
-- An attempt that was snoozed and has now ended otherwise is one attempt.
ON CONFLICT (job, run, attempt) DO UPDATE
SET status = excluded.status,
    started = excluded.started,
    ended = excluded.ended,
    next_due = excluded.next_due,
    error = excluded.error,
    result = excluded.result
