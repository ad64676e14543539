UPDATE ductape.webhooks SET delivered = $2 WHERE id = $1
