SELECT job
FROM (
    SELECT job FROM ductape.ready TABLESAMPLE SYSTEM ($4::bigint / 1000.0) WHERE 1 = ANY ($1::integer[])
    UNION ALL
    SELECT job FROM ductape.held TABLESAMPLE SYSTEM ($4 / 1000.0) WHERE 1 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.scheduled TABLESAMPLE SYSTEM ($4 / 1000.0) WHERE 0 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.far TABLESAMPLE SYSTEM ($4 / 1000.0) WHERE 0 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.paused TABLESAMPLE SYSTEM ($4 / 1000.0) WHERE 6 = ANY ($1)
    UNION ALL
    SELECT job FROM ductape.ended TABLESAMPLE SYSTEM ($4 / 1000.0) WHERE status = ANY ($1)
) AS found
WHERE job < $2
ORDER BY job DESC
OFFSET $3
LIMIT 1
