INSERT INTO far (day, job) VALUES (?1, ?2)
