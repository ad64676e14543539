SELECT route, key, options FROM jobs WHERE seq = ?1
