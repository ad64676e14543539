INSERT INTO instances (boot, lease, slots) VALUES (?1, ?2, ?3)
