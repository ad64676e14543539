INSERT INTO ductape.figures (span, at, route, figures)
SELECT span, at, route, '{}'
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS added (span, at, route)
ON CONFLICT DO NOTHING
