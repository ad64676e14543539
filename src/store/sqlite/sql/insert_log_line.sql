INSERT INTO logs (job, number, run, attempt, at, message) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
