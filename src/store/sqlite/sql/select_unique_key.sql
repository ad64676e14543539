SELECT job, until, id, status, due, recurring FROM uniques WHERE route = ?1 AND key = ?2
