SELECT kind, sum(n) FROM counters GROUP BY kind
