INSERT INTO ductape.entries (kind, space, key, value, expires) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (kind, space, key) DO UPDATE SET value = excluded.value, expires = excluded.expires
