INSERT INTO held (key, route, priority, due, job, run, attempt, crashes)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
