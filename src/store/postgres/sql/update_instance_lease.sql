UPDATE ductape.instances
SET lease = time.now + $2::bigint, seen = time.now
FROM (SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now) AS time
WHERE id = $3
RETURNING (SELECT max(number) FROM ductape.versions)
