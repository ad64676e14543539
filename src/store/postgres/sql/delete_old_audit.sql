DELETE FROM ductape.audit
WHERE (at, id) <= (SELECT at, id FROM ductape.audit ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1)
