INSERT INTO ductape.routes (id, namespace, product, env, target, added)
SELECT id, namespace, product, env, target,
       greatest((SELECT coalesce(max(added), 0) FROM ductape.routes), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
       + row_number() OVER (ORDER BY place)
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[])
     WITH ORDINALITY AS given (id, namespace, product, env, target, place)
WHERE NOT EXISTS (
    SELECT 1 FROM ductape.routes AS known
    WHERE known.namespace = given.namespace AND known.product = given.product
      AND known.env = given.env AND known.target = given.target
)
