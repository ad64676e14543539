UPDATE ductape.instances
SET lease = least(lease, $2), seen = least(seen, $1)
WHERE lease > $2 OR seen > $1
