SELECT (SELECT coalesce(sum(n), 0) FROM counters WHERE kind < 10), (SELECT count(*) FROM jobs)
