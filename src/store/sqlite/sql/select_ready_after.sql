SELECT priority, due, job, run, attempt, crashes, key
FROM ready
WHERE route = ?1 AND (priority, due, job, run) > (?2, ?3, ?4, ?5) AND crashes < 3
ORDER BY priority, due, job, run
LIMIT ?6
