INSERT INTO routes (namespace, product, env, target) VALUES (?1, ?2, ?3, ?4)
