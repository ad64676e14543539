SELECT max(last) FROM ductape.gaps WHERE job = $1
