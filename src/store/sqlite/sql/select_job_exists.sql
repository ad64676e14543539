SELECT 1 FROM jobs WHERE seq = ?1
