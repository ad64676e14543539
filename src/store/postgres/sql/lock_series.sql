SELECT job FROM ductape.series WHERE job = ANY ($1) ORDER BY job FOR UPDATE
