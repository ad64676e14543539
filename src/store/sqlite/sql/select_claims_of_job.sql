SELECT running.owner, running.started, instances.boot, instances.seen
FROM running
LEFT JOIN instances ON instances.id = running.owner
WHERE running.job = ?1
