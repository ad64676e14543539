SELECT at, id, who, action, detail FROM ductape.audit
WHERE (at, id) < ($1, $2)
ORDER BY at DESC, id DESC
LIMIT $3
