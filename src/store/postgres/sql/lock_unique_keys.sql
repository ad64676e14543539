SELECT pg_catalog.pg_advisory_xact_lock(lock) FROM unnest($1::bigint[]) AS locks (lock)
