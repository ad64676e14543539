SELECT seq, route, priority, due, recurring, run, created, key FROM jobs WHERE id = ?1
