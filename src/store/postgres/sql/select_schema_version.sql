SELECT max(number) FROM ductape.versions
