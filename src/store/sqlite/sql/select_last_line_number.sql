SELECT coalesce(max(number), 0) FROM logs WHERE job = ?1
