DELETE FROM steps WHERE job = ?1 AND run < ?2
AND run NOT IN (SELECT run FROM occurrences WHERE job = ?1)
