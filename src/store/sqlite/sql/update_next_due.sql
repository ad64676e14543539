UPDATE runs SET next_due = ?4 WHERE job = ?1 AND run = ?2 AND attempt = ?3
