SELECT due FROM scheduled ORDER BY due LIMIT 1
