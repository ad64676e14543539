INSERT INTO instances (boot, lease) VALUES (?1, ?2)
