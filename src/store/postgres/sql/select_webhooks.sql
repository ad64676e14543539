SELECT id, url, events, secret, created, updated, delivered, failed, last_error, failed_count, disabled
FROM ductape.webhooks ORDER BY number
