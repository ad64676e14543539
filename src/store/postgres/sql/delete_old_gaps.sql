WITH next AS MATERIALIZED (
    SELECT job, runs FROM ductape.series WHERE job > $1 AND state = 0 ORDER BY job LIMIT $4
), old AS MATERIALIZED (
    SELECT next.job, found.first, found.kind
    FROM next
    CROSS JOIN LATERAL (
        SELECT first, kind,
               bool_and(runs <= coalesce(next.runs - $2::bigint, 0) OR last < $3) OVER (ORDER BY first, kind) AS old
        FROM (
            SELECT first, kind, gaps.runs, last FROM ductape.gaps WHERE gaps.job = next.job ORDER BY first, kind LIMIT 500
        ) AS earliest
    ) AS found
    WHERE found.old
)
DELETE FROM ductape.gaps USING old
WHERE gaps.job = old.job AND gaps.first = old.first AND gaps.kind = old.kind
