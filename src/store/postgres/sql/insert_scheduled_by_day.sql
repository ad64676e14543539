INSERT INTO ductape.far (day, job) SELECT * FROM unnest($1, $2)
