INSERT INTO scheduled (due, job, run, attempt, crashes) VALUES (?1, ?2, ?3, ?4, ?5)
