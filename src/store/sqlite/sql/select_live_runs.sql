SELECT run, due FROM occurrences WHERE job = ?1 ORDER BY run
