SELECT ductape.free_v1(ARRAY (SELECT * FROM ductape.keys_with_held_v1())),
       ARRAY (SELECT DISTINCT route FROM ductape.ready WHERE crashes >= 3)
