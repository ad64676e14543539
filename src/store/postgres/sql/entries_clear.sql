DELETE FROM ductape.entries
WHERE kind = $1 AND space = $2
  AND key IN (
    SELECT key FROM ductape.entries WHERE kind = $1 AND space = $2
    ORDER BY key LIMIT $3 FOR UPDATE SKIP LOCKED
  )
