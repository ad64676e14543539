INSERT OR IGNORE INTO tags (tag, job) VALUES (?1, ?2)
