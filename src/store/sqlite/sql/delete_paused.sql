DELETE FROM paused WHERE job = ?1 AND run = ?2
