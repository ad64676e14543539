INSERT INTO progress (job, value) VALUES (?1, ?2) ON CONFLICT (job) DO UPDATE SET value = excluded.value
