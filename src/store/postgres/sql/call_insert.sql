SELECT place
FROM ductape.insert_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS place
WHERE ductape.check_routes_v1($16, $17)
