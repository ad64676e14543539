DELETE FROM ductape.figures
WHERE (span, at, route) IN (SELECT span, at, route FROM ductape.figures WHERE span = $1 AND at < $2 ORDER BY at LIMIT $3)
