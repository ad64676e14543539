INSERT INTO running (job, run, owner, token, attempt, crashes, route, priority, due, started, recurring, key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
