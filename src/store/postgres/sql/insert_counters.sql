INSERT INTO ductape.counters (route, kind, n) SELECT * FROM unnest($1, $2, $3)
