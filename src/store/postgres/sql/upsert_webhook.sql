INSERT INTO ductape.webhooks (id, url, events, secret, created, updated)
SELECT $1, $2, $3, $4, $5, $5
WHERE EXISTS (SELECT 1 FROM ductape.webhooks WHERE url = $2) OR (SELECT count(*) FROM ductape.webhooks) < $6
ON CONFLICT (url) DO UPDATE
SET events = excluded.events,
    secret = excluded.secret,
    updated = greatest(excluded.updated, webhooks.updated + 1),
    disabled = NULL
RETURNING id, url, events, secret, created, updated, delivered, failed, last_error, failed_count, disabled
