SELECT job
FROM (
    SELECT job FROM ductape.running WHERE 2 = ANY ($1::integer[])
    UNION ALL
    SELECT job FROM ductape.ready WHERE 1 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.held WHERE 1 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.scheduled WHERE 0 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.far WHERE 0 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.series WHERE 0 = ANY ($1) AND state = 0
    UNION ALL
    SELECT job FROM ductape.paused WHERE 6 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.series WHERE 6 = ANY ($1) AND paused
    UNION ALL
    SELECT job FROM ductape.ended WHERE status = ANY ($1)
) AS found
WHERE job < $2 AND job >= $4
ORDER BY job DESC
LIMIT $3
