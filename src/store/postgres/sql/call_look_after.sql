SELECT ductape.free_v1(ARRAY (SELECT * FROM ductape.keys_with_held_v1())),
       ARRAY (SELECT DISTINCT route FROM ductape.ready WHERE crashes >= 3),
       (SELECT seq FROM ductape.outbox ORDER BY seq LIMIT 1) IS NOT NULL,
       EXISTS (
           SELECT 1
           FROM ductape.instances
           WHERE lease <= coalesce($1::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
               AND id IS DISTINCT FROM $2::bigint
       ),
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint
