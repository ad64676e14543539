WITH RECURSIVE found AS (
    (SELECT route FROM ductape.ready ORDER BY route LIMIT 1)
    UNION ALL
    SELECT (SELECT ready.route FROM ductape.ready WHERE ready.route > found.route ORDER BY ready.route LIMIT 1)
    FROM found WHERE found.route IS NOT NULL
)
SELECT route FROM found WHERE route IS NOT NULL
