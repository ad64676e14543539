DELETE FROM webhooks WHERE id = ?1 OR url = ?1
