SELECT span, at, route, figures
FROM ductape.figures
WHERE (span, at, route) IN (SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[]))
ORDER BY span, at, route
FOR UPDATE
