-- Ends attempts of jobs that run once. Outcomes: 3 completed, 4 failed, 7 retried, 8 snoozed, 0 handed back. Answers
-- with the place and the new state of each that counted and the concurrency key that has a slot more now, and with -1
-- for a run of a series or one to be forgotten (-2), which it leaves alone. `told_` are the errors without stacks.
--
-- `= ANY (ARRAY[x])` is `= x` that no merge join could use: a plan that was made while a table was empty may else walk
-- through all of it in order, comparing each row with the whole list.
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
    -- What need not be looked for in the whole list if nothing is like it.
    some_go_on_ boolean := NOT outcomes_ <@ '{3, 4}';
    taken_ bigint;
BEGIN
    -- What is lost with the server's memory is done again: at least once.
    SET LOCAL synchronous_commit = off;
    RETURN QUERY
    WITH taken AS MATERIALIZED (
        DELETE FROM ductape.running
        USING unnest(jobs_, runs_, tokens_, starts_, ends_, outcomes_, dues_, errors_, results_, told_)
            WITH ORDINALITY AS given (job, run, token, began, finished, outcome, next_due, error, result, told, place)
        WHERE running.job = ANY (ARRAY[given.job]) AND running.run = given.run AND running.owner = owner_
          AND running.token = given.token AND NOT running.recurring AND outcome <> -2
        RETURNING given.*, running.key, running.attempt, running.crashes, running.route, running.priority, running.due,
            CASE WHEN outcome IN (3, 4) THEN outcome WHEN outcome = 0 OR next_due <= now_ THEN 1 ELSE 0 END AS state,
            -- After a snooze the same attempt has a row, which is no more than where it waited. Asked in a way that no
            -- plan can turn into reading the whole history.
            coalesce((SELECT true FROM ductape.runs
                      WHERE runs.job = running.job AND runs.run = running.run AND runs.attempt = running.attempt
                      LIMIT 1), false) AS snoozed
    ), history AS (
        INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due, error, result)
        SELECT job, run, attempt, outcome, began, finished, next_due, error, result FROM taken
        WHERE outcome <> 0 AND NOT snoozed
    ), over_snoozed AS (
        INSERT INTO ductape.runs (job, run, attempt, status, started, ended, next_due, error, result)
        SELECT job, run, attempt, outcome, began, finished, next_due, error, result FROM taken
        WHERE outcome <> 0 AND snoozed
        ON CONFLICT (job, run, attempt) DO UPDATE
        SET status = excluded.status, started = excluded.started, ended = excluded.ended, next_due = excluded.next_due,
            error = excluded.error, result = excluded.result
    ), over AS (
        INSERT INTO ductape.ended (status, ended, job) SELECT outcome, finished, job FROM taken WHERE outcome IN (3, 4)
    ), again AS (
        INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
        SELECT route, priority, coalesce(next_due, due), job, run, attempt + CASE WHEN outcome = 7 THEN 1 ELSE 0 END, crashes, false, key
        FROM taken WHERE some_go_on_ AND state = 1
    ), later AS (
        INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
        SELECT next_due, job, run, attempt + CASE WHEN outcome = 7 THEN 1 ELSE 0 END, crashes, false
        FROM taken WHERE some_go_on_ AND state = 0
    ), events AS (
        INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions, error)
        SELECT outcome - 1, finished, jobs.id, jobs.name, taken.route, outcome, coalesce(jobs.due, jobs.created),
               1 + (SELECT count(*) FROM ductape.runs WHERE runs.job = taken.job AND runs.status IN (3, 4, 5)), told
        FROM taken
        JOIN ductape.jobs ON jobs.seq = ANY (ARRAY[taken.job])
        JOIN ductape.routes ON routes.id = taken.route
        WHERE wanted_ & 12 <> 0
          AND (wanted_ & 4 <> 0 AND outcome = 3 OR wanted_ & 8 <> 0 AND outcome = 4) AND namespace <> 'webhooks'
        ORDER BY place
    ), counted AS (
        INSERT INTO ductape.counters (route, kind, n)
        SELECT route, deltas.kind, deltas.n
        FROM (
            SELECT route, count(*) AS left_running, count(*) FILTER (WHERE state = 0) AS later,
                   count(*) FILTER (WHERE state = 1) AS again, count(*) FILTER (WHERE state = 3) AS completed,
                   count(*) FILTER (WHERE state = 4) AS failed,
                   count(*) FILTER (WHERE state = 3 AND attempt - 1 = crashes) AS at_first,
                   coalesce(sum(attempt - 1 - crashes) FILTER (WHERE state IN (3, 4)), 0) AS retries
            FROM taken GROUP BY route
        ) AS sums
        CROSS JOIN LATERAL (VALUES
            (0, later), (1, again), (2, -left_running), (3, completed), (4, failed), (10, at_first),
            (11, completed - at_first), (12, failed), (13, retries)
        ) AS deltas (kind, n)
        WHERE deltas.n <> 0
    )
    SELECT place, state, key FROM taken;
    GET DIAGNOSTICS taken_ = ROW_COUNT;
    IF taken_ < cardinality(jobs_) THEN
        RETURN QUERY
        SELECT given.place, -1, NULL::bigint
        FROM unnest(jobs_, runs_, tokens_, outcomes_) WITH ORDINALITY AS given (job, run, token, outcome, place)
        JOIN ductape.running ON running.job = ANY (ARRAY[given.job]) AND running.run = given.run AND running.owner = owner_
            AND running.token = given.token AND (running.recurring OR outcome = -2);
    END IF;
    PERFORM ductape.forget_steps_v1(jobs_, runs_, outcomes_);
END
$body$;
