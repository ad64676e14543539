SELECT owner, token, attempt, crashes, started, key FROM running WHERE job = ?1 AND run = ?2
