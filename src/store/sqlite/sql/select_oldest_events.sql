SELECT seq, kind, at, id, route, status, scheduled_at, executions, error FROM outbox ORDER BY seq LIMIT ?1
