WITH page AS MATERIALIZED (
    SELECT due, job, run, crashes
    FROM ductape.scheduled
    WHERE (due, job, run) > ($1, $2, $3)
    ORDER BY due, job, run
    LIMIT $4
    FOR UPDATE SKIP LOCKED
), waits AS (
    -- `rules::waits::began`; 9 is a crash.
    SELECT page.due, page.job, page.run, last.attempt,
           CASE last.status WHEN 9 THEN page.due - $7[least(page.crashes, cardinality($7))] ELSE last.ended END AS began
    FROM page
    CROSS JOIN LATERAL (
        SELECT attempt, status, ended, next_due
        FROM ductape.runs
        WHERE runs.job = page.job AND runs.run = page.run
        ORDER BY attempt DESC
        LIMIT 1
    ) last
    WHERE last.next_due = page.due
), wrong AS MATERIALIZED (
    SELECT due, job, run, attempt, greatest($6, began - $5) AS by
    FROM waits
    WHERE began > $5
), moved AS (
    UPDATE ductape.scheduled
    SET due = scheduled.due - wrong.by
    FROM wrong
    WHERE scheduled.due = wrong.due AND scheduled.job = wrong.job AND scheduled.run = wrong.run
), written AS (
    UPDATE ductape.runs
    SET started = CASE WHEN started > $5 THEN started - wrong.by ELSE started END,
        ended = CASE
            WHEN ended <= $5 THEN ended
            WHEN started <= $5 THEN greatest(ended - wrong.by, started)
            ELSE ended - wrong.by
        END,
        next_due = next_due - wrong.by
    FROM wrong
    WHERE runs.job = wrong.job AND runs.run = wrong.run AND runs.attempt = wrong.attempt
)
SELECT due, job, run, (SELECT count(*) FROM page), (SELECT count(*) FROM wrong)
FROM page
ORDER BY due DESC, job DESC, run DESC
LIMIT 1
