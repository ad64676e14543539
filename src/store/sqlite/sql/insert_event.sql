INSERT INTO outbox (kind, at, id, route, status, scheduled_at, executions, error)
SELECT ?2, ?3, jobs.id, jobs.route, ?4, ?5, ?6, ?7
FROM jobs JOIN routes ON routes.id = jobs.route
WHERE jobs.seq = ?1 AND routes.namespace <> 'webhooks'
