UPDATE numbers SET last_job = ?1
