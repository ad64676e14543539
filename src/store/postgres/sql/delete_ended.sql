DELETE FROM ductape.ended WHERE status = $1 AND ended = $2 AND job = $3
