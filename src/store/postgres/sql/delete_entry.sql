DELETE FROM ductape.entries WHERE kind = $1 AND space = $2 AND key = $3 RETURNING value, expires > $4
