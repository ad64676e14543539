-- Materialised: evaluated once, so that no plan deletes more than the limit.
WITH chosen AS MATERIALIZED (
    SELECT kind, space, key FROM ductape.entries
    WHERE kind = $1 AND space = $2
    ORDER BY key LIMIT $3
    FOR UPDATE SKIP LOCKED
)
DELETE FROM ductape.entries AS entry
USING chosen
WHERE (entry.kind, entry.space, entry.key) = (chosen.kind, chosen.space, chosen.key)
