INSERT INTO webhooks (id, url, events, secret, created, updated) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (url) DO UPDATE SET events = excluded.events, secret = excluded.secret,
updated = max(excluded.updated, updated + 1), disabled = NULL
