SELECT kind, sum(n)::bigint
FROM ductape.counters
WHERE $1::bigint[] IS NULL OR route = ANY ($1)
GROUP BY kind
