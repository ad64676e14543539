INSERT INTO ductape.instances (id, lease, slots, seen, registered, host, pid) OVERRIDING SYSTEM VALUE
SELECT $4, time.now + $2::bigint, $3, time.now, time.now, $5::text, $6::bigint
FROM (SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now) AS time
RETURNING id
