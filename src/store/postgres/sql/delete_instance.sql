DELETE FROM ductape.instances WHERE id = $1
