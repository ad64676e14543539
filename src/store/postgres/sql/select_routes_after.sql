SELECT id, namespace, product, env, target FROM ductape.routes WHERE id > $1 ORDER BY id
