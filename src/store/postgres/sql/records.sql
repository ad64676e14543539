SELECT j.seq, j.retries, j.updated, j.options, j.input,
       (SELECT error FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 7, 9) ORDER BY run DESC, attempt DESC LIMIT 1),
       (SELECT result FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 5) ORDER BY run DESC, attempt DESC LIMIT 1),
       CASE WHEN j.recurring THEN 0
            ELSE (SELECT count(*) FROM ductape.runs WHERE job = j.seq AND status IN (3, 4, 5)) END,
       (SELECT count(*) FROM ductape.runs WHERE job = j.seq AND run = w.run AND status = 9),
       (SELECT value FROM ductape.progress WHERE job = j.seq),
       l.attempt, l.status, l.started, l.ended, l.next_due, l.error
FROM unnest($1::bigint[], $2::bigint[]) AS w (job, run)
JOIN ductape.jobs AS j ON j.seq = w.job
LEFT JOIN LATERAL (
    SELECT attempt, status, started, ended, next_due, error FROM ductape.runs
    WHERE runs.job = w.job AND runs.run = w.run
    ORDER BY attempt DESC
    LIMIT 1
) AS l ON true
