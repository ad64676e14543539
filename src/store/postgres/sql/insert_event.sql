INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions, error)
SELECT $2, $3, jobs.id, jobs.name, jobs.route, $4, $5,
       coalesce(series.ended, (SELECT count(*) FROM ductape.runs WHERE runs.job = jobs.seq AND runs.status IN (3, 4, 5))), $6
FROM ductape.jobs
JOIN ductape.routes ON routes.id = jobs.route
LEFT JOIN ductape.series ON series.job = jobs.seq
WHERE jobs.seq = $1 AND routes.namespace <> 'webhooks'
