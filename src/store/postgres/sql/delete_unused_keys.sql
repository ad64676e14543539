DELETE FROM ductape.keys
WHERE id = ANY (ARRAY (
    -- The row of a key that a concurrent dispatch uses is locked.
    SELECT id FROM ductape.keys
    WHERE NOT EXISTS (SELECT 1 FROM ductape.jobs WHERE jobs.key = keys.id)
      AND NOT EXISTS (SELECT 1 FROM ductape.running WHERE running.key = keys.id)
    ORDER BY id
    LIMIT 1000
    FOR UPDATE SKIP LOCKED
))
AND NOT EXISTS (SELECT 1 FROM ductape.jobs WHERE jobs.key = keys.id)
