SELECT id, max, running, owed FROM keys WHERE kind = 0 AND product = ?1 AND env = ?2 AND name = ?3
