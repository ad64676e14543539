SELECT value FROM progress WHERE job = ?1
