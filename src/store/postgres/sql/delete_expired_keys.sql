DELETE FROM ductape.uniques
WHERE (route, key) IN (
    SELECT route, key FROM ductape.uniques
    WHERE status IS NOT NULL AND until <= $1
    ORDER BY until
    LIMIT 500
)
