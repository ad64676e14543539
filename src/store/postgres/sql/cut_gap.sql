WITH cut AS (
    UPDATE ductape.gaps SET last = $4, count = $5 WHERE job = $1 AND kind = $2 AND first = $3 AND $5 > 0
)
DELETE FROM ductape.gaps WHERE job = $1 AND kind = $2 AND first = $3 AND $5 <= 0
