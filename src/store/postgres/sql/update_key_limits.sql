UPDATE ductape.keys
SET max = given.max
FROM unnest($1::bigint[], $2::bigint[]) AS given (id, max)
WHERE keys.id = given.id
