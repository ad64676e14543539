SELECT (SELECT coalesce(sum(n), 0)::bigint FROM ductape.counters WHERE kind < 10), (SELECT count(*) FROM ductape.jobs)
