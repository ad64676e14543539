INSERT INTO ready (route, priority, due, job, run, attempt, crashes, key)
SELECT route, priority, due, seq, run, 1, 0, key FROM jobs WHERE seq BETWEEN ?1 AND ?2
