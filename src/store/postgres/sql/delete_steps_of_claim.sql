WITH held AS MATERIALIZED (
    SELECT 1 FROM ductape.running WHERE job = $1 AND run = $2 AND owner = $3 AND token = $4 FOR KEY SHARE
), gone AS (
    DELETE FROM ductape.steps WHERE job = $1 AND run = $2 AND tag = ANY ($5) AND EXISTS (SELECT 1 FROM held)
)
SELECT EXISTS (SELECT 1 FROM held)
