INSERT INTO counters (route, kind, n) VALUES (?1, ?2, ?3)
ON CONFLICT (route, kind) DO UPDATE SET n = n + excluded.n
