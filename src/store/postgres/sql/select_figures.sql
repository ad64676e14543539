SELECT at, route, figures
FROM ductape.figures
WHERE span = $1 AND (at, route) > ($2, $3) AND at <= $4 AND ($5::bigint[] IS NULL OR route = ANY ($5))
ORDER BY at, route
LIMIT $6
