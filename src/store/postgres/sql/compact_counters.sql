WITH next AS MATERIALIZED (
    SELECT ctid FROM ductape.counters LIMIT 20000 FOR UPDATE SKIP LOCKED
), gone AS MATERIALIZED (
    DELETE FROM ductape.counters WHERE ctid = ANY (ARRAY (SELECT ctid FROM next)) RETURNING route, kind, n
), summed AS (
    INSERT INTO ductape.counters (route, kind, n)
    SELECT route, kind, sum(n) FROM gone GROUP BY route, kind HAVING sum(n) <> 0
)
SELECT count(*) FROM gone
