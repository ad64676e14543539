SELECT figures FROM figures WHERE span = ?1 AND at = ?2 AND route = ?3
