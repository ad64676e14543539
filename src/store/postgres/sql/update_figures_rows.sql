UPDATE ductape.figures AS known
SET figures = added.figures
FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::text[]) AS added (span, at, route, figures)
WHERE (known.span, known.at, known.route) = (added.span, added.at, added.route)
