DELETE FROM entries
WHERE (kind, space, key) IN (SELECT kind, space, key FROM entries WHERE expires <= ?1 ORDER BY expires LIMIT ?2)
