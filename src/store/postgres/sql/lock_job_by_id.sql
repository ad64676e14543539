SELECT seq FROM ductape.jobs WHERE id = $1 FOR UPDATE
