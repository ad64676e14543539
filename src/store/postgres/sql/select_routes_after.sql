SELECT routes.id, namespace, product, env, target, added, known.there
FROM (SELECT $1::bigint = 0 OR EXISTS (SELECT 1 FROM ductape.routes WHERE added = $1) AS there) AS known
LEFT JOIN ductape.routes ON added > $1 OR NOT known.there
ORDER BY added
