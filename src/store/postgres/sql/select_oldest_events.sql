SELECT seq, kind, at, id, name, route, status, scheduled_at, executions, error
FROM ductape.outbox ORDER BY seq LIMIT $1
