INSERT INTO ductape.uniques (route, key, until, job)
SELECT $1, $2, $3, seq
FROM ductape.jobs
WHERE seq = $4 OR id = $5 OR name = $6
ON CONFLICT (route, key) DO UPDATE
SET job = excluded.job,
    until = excluded.until,
    id = NULL,
    name = NULL,
    status = NULL,
    due = NULL,
    recurring = NULL
