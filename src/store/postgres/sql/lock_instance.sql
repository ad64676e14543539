SELECT id FROM ductape.instances WHERE id = $1 FOR UPDATE
