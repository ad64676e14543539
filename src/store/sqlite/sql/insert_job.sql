INSERT INTO jobs (seq, id, route, priority, due, retries, recurring, run, created, updated, options, input, key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?8, ?9, ?10, ?11)
ON CONFLICT (id) DO NOTHING
