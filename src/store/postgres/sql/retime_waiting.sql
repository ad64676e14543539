WITH page AS MATERIALIZED (
    SELECT due, job, run
    FROM ductape.scheduled
    WHERE (due, job, run) > ($1, $2, $3)
    ORDER BY due, job, run
    LIMIT $4
    FOR UPDATE SKIP LOCKED
), wrong AS MATERIALIZED (
    SELECT page.due, page.job, page.run, last.attempt, greatest($6, last.ended - $5) AS by
    FROM page
    CROSS JOIN LATERAL (
        SELECT attempt, ended, next_due
        FROM ductape.runs
        WHERE runs.job = page.job AND runs.run = page.run
        ORDER BY attempt DESC
        LIMIT 1
    ) last
    WHERE last.ended > $5 AND last.next_due = page.due
), moved AS (
    UPDATE ductape.scheduled
    SET due = scheduled.due - wrong.by
    FROM wrong
    WHERE scheduled.due = wrong.due AND scheduled.job = wrong.job AND scheduled.run = wrong.run
), written AS (
    UPDATE ductape.runs
    SET started = started - wrong.by, ended = ended - wrong.by, next_due = next_due - wrong.by
    FROM wrong
    WHERE runs.job = wrong.job AND runs.run = wrong.run AND runs.attempt = wrong.attempt
)
SELECT due, job, run, (SELECT count(*) FROM page), (SELECT count(*) FROM wrong)
FROM page
ORDER BY due DESC, job DESC, run DESC
LIMIT 1
