SELECT route FROM ductape.counters WHERE kind = ANY ($1::integer[]) GROUP BY route HAVING sum(n) > 0
