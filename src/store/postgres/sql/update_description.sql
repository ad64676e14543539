UPDATE ductape.instances SET version = $2, handlers = $3 WHERE id = $1
