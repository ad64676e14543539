SELECT DISTINCT events FROM webhooks WHERE disabled IS NULL
