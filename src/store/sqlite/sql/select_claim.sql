SELECT 1 FROM running WHERE job = ?1 AND run = ?2 AND owner = ?3 AND token = ?4
