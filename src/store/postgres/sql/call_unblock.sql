SELECT ductape.free_v1($1)
