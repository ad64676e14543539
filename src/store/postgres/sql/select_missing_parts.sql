SELECT name FROM unnest($2::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
                  WHERE nspname = $1 AND relname = name)
UNION ALL
SELECT name FROM unnest($3::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_proc JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pronamespace
                  WHERE nspname = $1 AND proname = name)
