SELECT due, job, run, attempt, crashes FROM scheduled
WHERE (due, job, run) > (?1, ?2, ?3)
ORDER BY due, job, run LIMIT ?4
