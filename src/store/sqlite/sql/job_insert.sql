INSERT INTO jobs (id, route, priority, due, retries, recurring, run, created, updated, options, input, key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, ?8, ?9, ?10)
ON CONFLICT (id) DO NOTHING
