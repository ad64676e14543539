SELECT job, until, id, name, status, due, recurring FROM ductape.uniques WHERE route = $1 AND key = $2
