SELECT ductape.free_v1(ARRAY (SELECT * FROM ductape.keys_with_held_v1()))
