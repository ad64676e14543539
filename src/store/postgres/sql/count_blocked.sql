SELECT count(*) FROM (SELECT 1 FROM ductape.held WHERE route = ANY ($1) LIMIT $2) AS found
