SELECT id, boot, lease, slots, seen, registered, host, pid, (SELECT count(*) FROM running WHERE owner = instances.id),
    version, handlers
FROM instances
ORDER BY id
