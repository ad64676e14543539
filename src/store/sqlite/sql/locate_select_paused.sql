SELECT due, attempt, crashes FROM paused WHERE job = ?1 AND run = ?2
