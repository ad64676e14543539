DELETE FROM ductape.webhooks WHERE id = $1 OR url = $1
