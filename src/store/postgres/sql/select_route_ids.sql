SELECT routes.id, routes.added
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS given (namespace, product, env, target, place)
LEFT JOIN ductape.routes USING (namespace, product, env, target)
ORDER BY given.place
