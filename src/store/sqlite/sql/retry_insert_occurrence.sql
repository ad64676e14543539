INSERT INTO occurrences (job, run, scheduled_at, due, missed) VALUES (?1, ?2, ?3, ?4, 0)
