INSERT INTO ended (status, ended, job) VALUES (?1, ?2, ?3)
