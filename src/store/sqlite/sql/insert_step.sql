INSERT INTO steps (job, run, tag, result) VALUES (?1, ?2, ?3, ?4)
