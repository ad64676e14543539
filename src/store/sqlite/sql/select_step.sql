SELECT 1 FROM steps WHERE job = ?1 AND run = ?2 AND tag = ?3
