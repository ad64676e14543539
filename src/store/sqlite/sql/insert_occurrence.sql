INSERT INTO occurrences (job, run, scheduled_at, due, missed) VALUES (?1, ?2, ?3, ?3, ?4)
