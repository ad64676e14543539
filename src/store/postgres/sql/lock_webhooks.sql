SELECT number FROM ductape.webhooks ORDER BY number FOR UPDATE
