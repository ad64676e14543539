INSERT INTO keys (kind, product, env, name, max, running, owed, jobs) VALUES (0, ?1, ?2, ?3, ?4, 0, 0, 1)
