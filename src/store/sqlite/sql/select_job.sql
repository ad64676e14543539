SELECT route, recurring FROM jobs WHERE seq = ?1
