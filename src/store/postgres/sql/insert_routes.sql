INSERT INTO ductape.routes (id, namespace, product, env, target)
SELECT (SELECT coalesce(max(id), 0) FROM ductape.routes) + row_number() OVER (ORDER BY place), namespace, product, env, target
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS given (namespace, product, env, target, place)
WHERE NOT EXISTS (
    SELECT 1 FROM ductape.routes AS known
    WHERE known.namespace = given.namespace AND known.product = given.product
      AND known.env = given.env AND known.target = given.target
)
