INSERT INTO gaps (job, first, kind, last, count, runs) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (job, first, kind) DO UPDATE SET last = max(last, excluded.last), count = excluded.count
