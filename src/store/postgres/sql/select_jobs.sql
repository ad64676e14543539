SELECT j.seq, j.retries, j.updated, j.options, j.input,
       (SELECT error FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 7, 9) ORDER BY run DESC, attempt DESC LIMIT 1),
       (SELECT result FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 5) ORDER BY run DESC, attempt DESC LIMIT 1),
       CASE WHEN j.recurring THEN 0
            ELSE (SELECT count(*) FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 5)) END,
       (SELECT count(*) FROM ductape.runs WHERE job = j.seq AND run = w.run AND status = 9),
       (SELECT value FROM ductape.progress WHERE job = j.seq),
       l.attempt, l.status, l.started, l.ended, l.next_due, l.error,
       CASE WHEN s.last_status <> 3 THEN
           (SELECT error FROM ductape.runs WHERE job = j.seq AND run = s.last_run ORDER BY attempt DESC LIMIT 1) END
FROM ductape.jobs AS j
LEFT JOIN ductape.series AS s ON j.recurring AND s.job = j.seq
-- The current run of the job: one that is running, else the oldest that has not ended, else the last one.
CROSS JOIN LATERAL (
    SELECT CASE WHEN j.recurring THEN coalesce((
        SELECT o.run FROM ductape.occurrences AS o
        LEFT JOIN ductape.running AS x ON x.job = o.job AND x.run = o.run
        WHERE o.job = j.seq
        ORDER BY x.run IS NULL, o.run
        LIMIT 1
    ), s.runs) ELSE j.run END AS run
) AS w
LEFT JOIN LATERAL (
    SELECT attempt, status, started, ended, next_due, error FROM ductape.runs
    WHERE runs.job = j.seq AND runs.run = w.run
    ORDER BY attempt DESC
    LIMIT 1
) AS l ON true
WHERE j.seq = ANY ($1)
