SELECT (SELECT count(*) FROM ductape.running WHERE key = keys.id), max FROM ductape.keys WHERE id = $1
