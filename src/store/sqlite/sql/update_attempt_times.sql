UPDATE runs SET started = started - ?4, ended = ended - ?4, next_due = next_due - ?4
WHERE job = ?1 AND run = ?2 AND attempt = ?3
