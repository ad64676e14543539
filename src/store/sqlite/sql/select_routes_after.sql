SELECT id, namespace, product, env, target FROM routes WHERE id > ?1 ORDER BY id
