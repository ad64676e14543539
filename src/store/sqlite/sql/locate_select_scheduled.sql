SELECT attempt, crashes FROM scheduled WHERE due = ?1 AND job = ?2 AND run = ?3
