SELECT claimed.*, (SELECT coalesce(max(added), 0) FROM ductape.routes)
FROM ductape.claim_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS claimed
