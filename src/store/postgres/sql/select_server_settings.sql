SELECT name, coalesce(reset_val, setting) FROM pg_catalog.pg_settings WHERE name = ANY ($1)
