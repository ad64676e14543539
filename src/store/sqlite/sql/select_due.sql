SELECT due, job, run, attempt, crashes FROM scheduled WHERE due <= ?1 ORDER BY due LIMIT ?2
