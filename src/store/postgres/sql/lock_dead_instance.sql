SELECT id, slots, seen
FROM ductape.instances
WHERE lease <= coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    AND id IS DISTINCT FROM $2::bigint
ORDER BY id
LIMIT 1
FOR UPDATE SKIP LOCKED
