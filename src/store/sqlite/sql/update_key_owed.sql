UPDATE keys SET owed = ?2 WHERE id = ?1
