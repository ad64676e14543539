INSERT INTO ductape.instances (lease, slots)
VALUES (coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + $2::bigint, $3)
RETURNING id
