SELECT ductape.check_routes_v1($1, $2)
