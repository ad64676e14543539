SELECT job, run, token, row_number() OVER (ORDER BY token)
FROM ductape.running
WHERE owner = $1
ORDER BY token DESC
LIMIT $2
