INSERT OR REPLACE INTO runs (job, run, attempt, status, started, ended, next_due, error, result)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
