SELECT pid || coalesce(' on ' || host, '') FROM instances WHERE pid IS NOT NULL ORDER BY id LIMIT 10
