SELECT value FROM entries WHERE kind = ?1 AND space = ?2 AND key = ?3 AND expires > ?4
