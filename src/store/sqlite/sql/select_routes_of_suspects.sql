SELECT DISTINCT route FROM ready INDEXED BY ready_suspects WHERE crashes >= 3
