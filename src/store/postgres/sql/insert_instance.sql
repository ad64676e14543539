INSERT INTO ductape.instances (id, lease, slots) OVERRIDING SYSTEM VALUE
VALUES ($4, coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + $2::bigint, $3)
RETURNING id
