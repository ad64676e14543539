SELECT seq, created FROM ductape.jobs WHERE seq = ANY ($1) ORDER BY seq FOR UPDATE
