UPDATE runs
SET started = CASE WHEN started > ?5 THEN started - ?4 ELSE started END,
    ended = CASE
        WHEN ended <= ?5 THEN ended
        WHEN started <= ?5 THEN max(ended - ?4, started)
        ELSE ended - ?4
    END,
    next_due = next_due - ?4
WHERE job = ?1 AND run = ?2 AND attempt = ?3
