SELECT route, kind, n FROM counters ORDER BY route
