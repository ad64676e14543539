SELECT id, lease, slots, seen, registered, host, pid, coalesce(claims.count, 0), time.now, version, handlers
FROM ductape.instances
CROSS JOIN (SELECT coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) AS now) AS time
LEFT JOIN (SELECT owner, count(*) AS count FROM ductape.running GROUP BY owner) AS claims ON claims.owner = instances.id
ORDER BY id
