-- Jobs with their series and live runs (of a one-off: its current run), and the location of each run: one statement, so
-- that all of it is from one snapshot.
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
LEFT JOIN ductape.series AS s ON j.recurring AND s.job = j.seq
LEFT JOIN ductape.occurrences AS o ON j.recurring AND o.job = j.seq
CROSS JOIN LATERAL (
    SELECT CASE WHEN j.recurring THEN o.run ELSE j.run END AS run, coalesce(o.due, j.due, j.created) AS due
) AS c
LEFT JOIN ductape.running AS x ON x.job = j.seq AND x.run = c.run
LEFT JOIN LATERAL (
    SELECT attempt, status, started, ended, next_due FROM ductape.runs
    WHERE runs.job = j.seq AND runs.run = c.run
    ORDER BY attempt DESC
    LIMIT 1
) AS l ON true
LEFT JOIN ductape.ready AS r
    ON r.route = j.route AND r.priority = j.priority AND r.due = coalesce(l.next_due, c.due) AND r.job = j.seq AND r.run = c.run
LEFT JOIN ductape.scheduled AS q ON q.due = coalesce(l.next_due, c.due) AND q.job = j.seq AND q.run = c.run
LEFT JOIN ductape.far AS f ON NOT j.recurring AND f.day = coalesce(l.next_due, c.due) / 86400000 AND f.job = j.seq
LEFT JOIN ductape.held AS h
    ON h.key = j.key AND h.route = j.route AND h.priority = j.priority AND h.due = coalesce(l.next_due, c.due)
    AND h.job = j.seq AND h.run = c.run
LEFT JOIN ductape.paused AS p ON p.job = j.seq AND p.run = c.run
WHERE j.seq = ANY ($1)
ORDER BY j.seq, c.run
