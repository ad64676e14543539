SELECT 1 FROM pg_catalog.pg_advisory_xact_lock($1)
