SELECT seq, route, priority, due, recurring, run, created, key FROM jobs WHERE seq < ?1
ORDER BY seq DESC LIMIT ?2
