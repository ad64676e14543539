UPDATE ductape.instances
SET lease = coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) + $2::bigint
WHERE id = $3
RETURNING (SELECT max(number) FROM ductape.versions)
