SELECT route, kind, sum(n)::bigint FROM ductape.counters GROUP BY route, kind ORDER BY route
