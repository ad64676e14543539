-- Ends attempts of jobs that run once. Outcomes: 3 completed, 4 failed, 7 retried, 8 snoozed, 0 handed back. Answers
-- with the place and the new state of each that counted and the concurrency key that has a slot more now, and with -1
-- for a run of a series or one to be forgotten (-2), which it leaves alone. `told_` are the errors without stacks.
CREATE FUNCTION ductape.complete_v1(
    now_ bigint, owner_ bigint, jobs_ bigint[], runs_ bigint[], tokens_ bigint[], starts_ bigint[], ends_ bigint[],
    outcomes_ integer[], dues_ bigint[], errors_ text[], results_ text[], told_ text[]
) RETURNS TABLE (place bigint, status integer, key bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    wanted_ bigint := (SELECT coalesce(bit_or(events), 0) FROM ductape.webhooks WHERE disabled IS NULL);
BEGIN
    -- What is lost with the server's memory is done again: at least once.
    SET LOCAL synchronous_commit = off;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT * FROM unnest(jobs_, runs_, tokens_, starts_, ends_, outcomes_, dues_, errors_, results_, told_)
            WITH ORDINALITY AS given (job, run, token, began, finished, outcome, next_due, error, result, told, place)
    ), taken AS MATERIALIZED (
        DELETE FROM ductape.running USING given
        WHERE running.job = given.job AND running.run = given.run AND running.owner = owner_
          AND running.token = given.token AND NOT running.recurring AND outcome <> -2
        RETURNING given.*, running.key, running.attempt, running.crashes, running.route, running.priority, running.due
    ), settled AS MATERIALIZED (
        SELECT *, CASE WHEN outcome IN (3, 4) THEN outcome WHEN outcome = 0 OR next_due <= now_ THEN 1 ELSE 0 END AS state
        FROM taken
    ), history AS (
        INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due, error, result)
        SELECT job, run, attempt, outcome, began, finished, next_due, error, result FROM settled WHERE outcome <> 0
        ON CONFLICT (job, run, attempt) DO UPDATE
        SET status = excluded.status, started = excluded.started, ended = excluded.ended, next_due = excluded.next_due,
            error = excluded.error, result = excluded.result
    ), over AS (
        INSERT INTO ductape.ended (status, ended, job) SELECT outcome, finished, job FROM settled WHERE outcome IN (3, 4)
    ), again AS (
        INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
        SELECT route, priority, coalesce(next_due, due), job, run, attempt + CASE WHEN outcome = 7 THEN 1 ELSE 0 END, crashes, false, key
        FROM settled WHERE state = 1
    ), later AS (
        INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
        SELECT next_due, job, run, attempt + CASE WHEN outcome = 7 THEN 1 ELSE 0 END, crashes, false
        FROM settled WHERE state = 0
    ), deltas AS (
        SELECT route, 2 AS kind, -1 AS n FROM settled
        UNION ALL
        SELECT route, state, 1 FROM settled
        UNION ALL
        SELECT route, CASE WHEN outcome = 4 THEN 12 WHEN attempt - 1 - crashes = 0 THEN 10 ELSE 11 END, 1
        FROM settled WHERE outcome IN (3, 4)
        UNION ALL
        SELECT route, 13, attempt - 1 - crashes FROM settled WHERE outcome IN (3, 4) AND attempt - 1 - crashes > 0
    ), events AS (
        INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions, error)
        SELECT outcome - 1, finished, jobs.id, jobs.name, settled.route, outcome, coalesce(jobs.due, jobs.created),
               1 + (SELECT count(*) FROM ductape.runs WHERE runs.job = settled.job AND runs.status IN (3, 4, 5)), told
        FROM settled
        JOIN ductape.jobs ON jobs.seq = settled.job
        JOIN ductape.routes ON routes.id = settled.route
        WHERE (wanted_ & 4 <> 0 AND outcome = 3 OR wanted_ & 8 <> 0 AND outcome = 4) AND namespace <> 'webhooks'
        ORDER BY place
    ), counted AS (
        INSERT INTO ductape.counters (route, kind, n) SELECT route, kind, sum(n) FROM deltas GROUP BY route, kind
    )
    SELECT place, state, key FROM settled
    UNION ALL
    SELECT given.place, -1, NULL FROM given
    JOIN ductape.running ON running.job = given.job AND running.run = given.run AND running.owner = owner_
        AND running.token = given.token AND (running.recurring OR outcome = -2);
END
$body$;
