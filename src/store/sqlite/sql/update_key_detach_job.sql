UPDATE keys SET jobs = jobs - 1 WHERE id = ?1 RETURNING jobs, running
