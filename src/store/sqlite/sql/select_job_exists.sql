SELECT 1 FROM jobs WHERE seq = ?1 AND created = ?2
