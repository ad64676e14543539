INSERT INTO ductape.versions (number) VALUES ($1)
