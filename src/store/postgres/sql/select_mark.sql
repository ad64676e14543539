SELECT value FROM ductape.marks WHERE name = $1
