-- Jobs with their series and live runs (of a one-off: its current run), and the location of each run: one statement, so
-- that all of it is from one snapshot. `OFFSET 0` keeps each table a query of its own, which is then asked by its whole key:
-- joined, a plan that was made while the queue was empty compares each run with all that wait for its route.
SELECT j.seq, j.id, j.name, j.route, j.priority, j.due, j.recurring, j.run, j.created,
       s.spec, s.version, s.state, s.ended_at, s.reason, s.next_at, s.held, s.last_at, s.runs, s.ended, s.succeeded, s.failed,
       s.live_queued, s.live_running, s.live_waiting, s.paused, s.failed_at, s.reruns,
       c.run, c.due, o.scheduled_at,
       x.owner, x.token, x.attempt, x.crashes, x.started, x.due,
       l.attempt, l.status, l.started, l.ended, l.next_due,
       r.attempt, r.crashes, q.attempt, q.crashes, f.job, p.due, p.attempt, p.crashes,
       j.key, h.attempt, h.crashes, x.key, s.settled,
       s.last_run, s.last_status, s.last_ended, s.failing_runs, s.failing_since
FROM ductape.jobs AS j
LEFT JOIN LATERAL (SELECT series.* FROM ductape.series WHERE j.recurring AND series.job = j.seq OFFSET 0) AS s ON true
LEFT JOIN LATERAL (
    SELECT run, scheduled_at, due FROM ductape.occurrences WHERE j.recurring AND occurrences.job = j.seq OFFSET 0
) AS o ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN j.recurring THEN o.run ELSE j.run END AS run, coalesce(o.due, j.due, j.created) AS due
) AS c
LEFT JOIN LATERAL (
    SELECT owner, token, attempt, crashes, started, due, key FROM ductape.running
    WHERE running.job = j.seq AND running.run = c.run
    OFFSET 0
) AS x ON true
LEFT JOIN LATERAL (
    SELECT attempt, status, started, ended, next_due FROM ductape.runs
    WHERE runs.job = j.seq AND runs.run = c.run
    ORDER BY attempt DESC
    LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
    SELECT attempt, crashes FROM ductape.ready
    WHERE ready.route = j.route AND ready.priority = j.priority AND ready.due = coalesce(l.next_due, c.due)
        AND ready.job = j.seq AND ready.run = c.run
    OFFSET 0
) AS r ON true
LEFT JOIN LATERAL (
    SELECT attempt, crashes FROM ductape.scheduled
    WHERE scheduled.due = coalesce(l.next_due, c.due) AND scheduled.job = j.seq AND scheduled.run = c.run
    OFFSET 0
) AS q ON true
LEFT JOIN LATERAL (
    SELECT job FROM ductape.far
    WHERE NOT j.recurring AND far.day = coalesce(l.next_due, c.due) / 86400000 AND far.job = j.seq
    OFFSET 0
) AS f ON true
LEFT JOIN LATERAL (
    SELECT attempt, crashes FROM ductape.held
    WHERE held.key = j.key AND held.route = j.route AND held.priority = j.priority
        AND held.due = coalesce(l.next_due, c.due) AND held.job = j.seq AND held.run = c.run
    OFFSET 0
) AS h ON true
LEFT JOIN LATERAL (
    SELECT due, attempt, crashes FROM ductape.paused WHERE paused.job = j.seq AND paused.run = c.run OFFSET 0
) AS p ON true
WHERE j.seq = ANY ($1)
ORDER BY j.seq, c.run
