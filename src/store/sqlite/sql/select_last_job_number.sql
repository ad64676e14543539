SELECT last_job FROM numbers
