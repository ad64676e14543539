SELECT 1 FROM webhooks WHERE url = ?1
