SELECT pid, usename::text, coalesce(application_name, ''), state,
    (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend'
    AND pid <> pg_catalog.pg_backend_pid()
    AND xact_start < clock_timestamp() - $1::bigint * interval '1 millisecond'
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR state LIKE 'idle in transaction%')
ORDER BY xact_start
LIMIT 5
