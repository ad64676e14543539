-- When runs of these series were being done: attempts that ended after the given time or wait for
-- a retry until then, and claims, with their owners and when those
-- were seen last.
SELECT asked.job, attempts.started, attempts.ended, attempts.status, attempts.next_due, NULL::bigint, NULL::bigint
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS asked (job, after, since)
CROSS JOIN LATERAL (
    SELECT started, ended, status, next_due FROM ductape.runs
    WHERE runs.job = asked.job AND run > asked.after AND started IS NOT NULL
        AND (ended >= asked.since OR next_due >= asked.since)
    ORDER BY run DESC, attempt DESC
    LIMIT $4
) AS attempts
UNION ALL
SELECT running.job, running.started, NULL, NULL, NULL, running.owner, instances.seen
FROM ductape.running
LEFT JOIN ductape.instances ON instances.id = running.owner
WHERE running.job = ANY ($1)
