DELETE FROM entries WHERE kind = ?1 AND space = ?2 AND key = ?3 RETURNING value, expires
