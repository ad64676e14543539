INSERT INTO instances (boot, lease, slots, seen, registered, host, pid) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)
