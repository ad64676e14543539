SELECT 1
FROM ductape.instances
WHERE lease <= coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
LIMIT 1
