DELETE FROM ductape.outbox WHERE seq = ANY ($1) RETURNING seq
