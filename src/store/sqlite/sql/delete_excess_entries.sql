DELETE FROM entries
WHERE kind = ?1 AND space = ?2
  AND key IN (SELECT key FROM entries WHERE kind = ?1 AND space = ?2 ORDER BY expires, key LIMIT ?3)
