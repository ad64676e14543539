-- Dead rows of the tables of runs in these states, by the server's account.
SELECT coalesce(sum(pg_stat_get_dead_tuples(name::regclass)), 0)::bigint
FROM (VALUES (0, 'ductape.scheduled'), (1, 'ductape.ready'), (2, 'ductape.running')) AS tables (status, name)
WHERE status = ANY ($1::integer[])
