UPDATE running SET route = ?2, priority = ?3 WHERE job = ?1
