WITH before AS (
    SELECT first, kind, runs, last FROM ductape.gaps
    WHERE job = $1
    ORDER BY first DESC, kind DESC
    LIMIT 1
), longer AS (
    UPDATE ductape.gaps SET last = $5, count = count + $6
    FROM before
    WHERE gaps.job = $1 AND gaps.kind = $2 AND gaps.first = before.first
        AND before.kind = $2 AND before.runs = $3 AND before.last < $4 AND $7
    RETURNING 1
)
INSERT INTO ductape.gaps (job, first, kind, last, count, runs)
SELECT $1, $4, $2, $5, $6, $3
WHERE NOT EXISTS (SELECT 1 FROM longer)
ON CONFLICT (job, first, kind) DO UPDATE SET last = greatest(gaps.last, excluded.last), count = excluded.count
