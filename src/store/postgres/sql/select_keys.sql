SELECT id, product, env, name
FROM ductape.keys
JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted (product, env, name) USING (product, env, name)
ORDER BY id
FOR UPDATE OF keys
