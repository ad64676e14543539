SELECT seq FROM ductape.jobs WHERE name = $1 FOR UPDATE
