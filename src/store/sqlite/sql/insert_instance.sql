INSERT INTO instances (boot, lease, slots, seen) VALUES (?1, ?2, ?3, ?4)
