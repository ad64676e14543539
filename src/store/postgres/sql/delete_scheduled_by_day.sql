DELETE FROM ductape.far WHERE day = $1 AND job = $2
