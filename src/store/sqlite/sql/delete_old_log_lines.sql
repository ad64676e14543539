DELETE FROM logs WHERE job = ?1 AND number <= ?2
