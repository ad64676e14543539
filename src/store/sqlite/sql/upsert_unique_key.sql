INSERT OR REPLACE INTO uniques (route, key, job, until) VALUES (?1, ?2, ?3, ?4)
