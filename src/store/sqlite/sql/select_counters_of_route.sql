SELECT kind, n FROM counters WHERE route = ?1
