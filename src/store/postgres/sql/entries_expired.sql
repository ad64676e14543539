DELETE FROM ductape.entries
WHERE (kind, space, key) IN (
    SELECT kind, space, key FROM ductape.entries WHERE expires <= $1
    ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED
)
