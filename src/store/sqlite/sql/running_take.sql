DELETE FROM running
WHERE job = ?1 AND run = ?2 AND owner = ?3 AND token = ?4
RETURNING attempt, crashes, route, priority, due, started, recurring, key
