SELECT at, route, figures FROM figures WHERE span = ?1 AND at BETWEEN ?2 AND ?3
