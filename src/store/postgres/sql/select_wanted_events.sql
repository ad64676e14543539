SELECT coalesce(bit_or(events), 0) FROM ductape.webhooks WHERE disabled IS NULL
