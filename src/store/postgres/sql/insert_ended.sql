INSERT INTO ductape.ended (status, ended, job) SELECT * FROM unnest($1, $2, $3)
