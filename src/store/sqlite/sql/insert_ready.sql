INSERT INTO ready (route, priority, due, job, run, attempt, crashes, key)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
