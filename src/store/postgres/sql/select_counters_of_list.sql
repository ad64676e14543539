-- Counters of these routes and of all by kind, and in each row the routes with jobs of these kinds, or one more than wanted: one
-- reading for all that a list asks of them.
WITH sums AS MATERIALIZED (
    SELECT route, kind, sum(n)::bigint AS n FROM ductape.counters GROUP BY route, kind
)
SELECT kind, sum(n)::bigint, coalesce(sum(n) FILTER (WHERE $1::bigint[] IS NULL OR route = ANY ($1)), 0)::bigint,
       ARRAY (SELECT route FROM sums WHERE kind = ANY ($2::integer[]) AND ($1 IS NULL OR route = ANY ($1))
              GROUP BY route HAVING sum(n) > 0 LIMIT $3)
FROM sums
GROUP BY kind
