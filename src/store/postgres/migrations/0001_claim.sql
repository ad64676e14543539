-- Here and below `= ANY (ARRAY[x])` is `= x` that no merge join could use: a plan that was made while a table was empty
-- may else walk through all of it in order, comparing each row with the whole list.

-- Moves what is due at `now_` to where it can be claimed, up to a thousand runs and 500 jobs of a day that comes near.
-- True: there is more. What is due at `since_` or before has been moved; MIN: nobody knows.
CREATE FUNCTION ductape.promote_v1(now_ bigint, since_ bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    far_ bigint := 0;
    due_ bigint := 0;
    again_ bigint := 0;
    one_ record;
    live_ record;
BEGIN
    IF EXISTS (SELECT 1 FROM ductape.far WHERE day <= now_ / 86400000 + 1) THEN
        WITH near AS MATERIALIZED (
            SELECT day, job FROM ductape.far WHERE day <= now_ / 86400000 + 1
            ORDER BY day, job LIMIT 500 FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM ductape.far USING near WHERE far.day = ANY (ARRAY[near.day]) AND far.job = near.job
        ), here AS (
            INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
            SELECT jobs.due, jobs.seq, jobs.run, 1, 0, false FROM near JOIN ductape.jobs ON jobs.seq = ANY (ARRAY[near.job])
        )
        SELECT count(*) INTO far_ FROM near;
    END IF;
    IF NOT EXISTS (SELECT 1 FROM ductape.scheduled WHERE due > since_ AND due <= now_) THEN
        RETURN far_ = 500;
    END IF;
    WITH first AS MATERIALIZED (
        SELECT due, job, run, recurring FROM ductape.scheduled WHERE due > since_ AND due <= now_ ORDER BY due, job, run LIMIT 1000
    ), locked AS MATERIALIZED (
        SELECT scheduled.* FROM first
        JOIN ductape.scheduled ON scheduled.due = ANY (ARRAY[first.due]) AND scheduled.job = first.job AND scheduled.run = first.run
        WHERE NOT first.recurring FOR UPDATE OF scheduled SKIP LOCKED
    ), gone AS (
        DELETE FROM ductape.scheduled USING locked
        WHERE scheduled.due = ANY (ARRAY[locked.due]) AND scheduled.job = locked.job AND scheduled.run = locked.run
    ), known AS MATERIALIZED (
        SELECT locked.*, jobs.route, jobs.priority, jobs.key FROM locked JOIN ductape.jobs ON jobs.seq = ANY (ARRAY[locked.job])
    ), here AS (
        INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
        SELECT route, priority, due, job, run, attempt, crashes, false, key FROM known
    ), counted AS (
        INSERT INTO ductape.counters (route, kind, n)
        SELECT route, 0, -count(*) FROM known GROUP BY route UNION ALL SELECT route, 1, count(*) FROM known GROUP BY route
    )
    SELECT count(*), count(*) FILTER (WHERE recurring) INTO due_, again_ FROM first;
    IF again_ > 0 THEN
        -- Runs of series, one by one: the series is locked before its route is looked up, which a replacement changes.
        FOR one_ IN SELECT due, job, run FROM ductape.scheduled WHERE due > since_ AND due <= now_ AND recurring
                    ORDER BY due, job, run LIMIT 1000
        LOOP
            PERFORM 1 FROM ductape.series WHERE series.job = one_.job FOR UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
            WITH gone AS (
                DELETE FROM ductape.scheduled
                WHERE scheduled.due = one_.due AND scheduled.job = one_.job AND scheduled.run = one_.run
                RETURNING due, job, run, attempt, crashes
            ), here AS (
                INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
                SELECT jobs.route, jobs.priority, gone.due, gone.job, gone.run, gone.attempt, gone.crashes, true, jobs.key
                FROM gone JOIN ductape.jobs ON jobs.seq = gone.job
                RETURNING route
            ), moved AS (
                UPDATE ductape.series SET live_queued = live_queued + 1, live_waiting = live_waiting - 1
                FROM here WHERE series.job = one_.job
                RETURNING here.route, live_queued, live_running
            ), counted AS (
                INSERT INTO ductape.counters (route, kind, n)
                SELECT route, kind, n FROM moved, (VALUES (0, -1), (1, 1)) AS deltas (kind, n)
                WHERE live_queued = 1 AND live_running = 0
            )
            SELECT count(*) INTO live_ FROM moved;
        END LOOP;
    END IF;
    RETURN far_ = 500 OR due_ = 1000;
END
$body$;

-- Makes the best runs behind these concurrency keys claimable, so many of each route as the key has room for: whoever
-- claims next may serve one route and not another. Says how many.
CREATE FUNCTION ductape.free_v1(keys_ bigint[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    key_ bigint;
    max_ bigint;
    room_ bigint;
    route_ bigint;
    moved_ bigint;
    total_ bigint := 0;
BEGIN
    -- By rising number, so that two that free the same keys do not wait for each other.
    FOR key_ IN SELECT DISTINCT key FROM unnest(keys_) AS given (key) ORDER BY key LOOP
        SELECT max INTO max_ FROM ductape.keys WHERE id = key_ FOR UPDATE;
        CONTINUE WHEN NOT FOUND;
        -- Asked for under the lock, so that all that others have begun is seen.
        room_ := max_ - (SELECT count(*) FROM ductape.running WHERE running.key = key_);
        CONTINUE WHEN room_ <= 0;
        room_ := least(room_, 500);
        route_ := NULL;
        LOOP
            SELECT route INTO route_ FROM ductape.held
            WHERE key = key_ AND route > coalesce(route_, -1) ORDER BY route LIMIT 1;
            EXIT WHEN NOT FOUND;
            WITH best AS MATERIALIZED (
                -- Among those that are claimable already: the best of both, so that their order is kept.
                SELECT * FROM (
                    (SELECT priority, due, job, run, true AS waits, ctid AS at FROM ductape.held
                     WHERE key = key_ AND route = route_ ORDER BY priority, due, job, run LIMIT room_)
                    UNION ALL
                    (SELECT priority, due, job, run, false, NULL FROM ductape.ready
                     WHERE key = key_ AND route = route_ ORDER BY priority, due, job, run LIMIT room_)
                ) AS every
                ORDER BY priority, due, job, run
                LIMIT room_
            ), locked AS MATERIALIZED (
                -- By address: by its columns a plan might compare each of them with all that wait.
                SELECT held.ctid AS at FROM best JOIN ductape.held ON held.ctid = best.at
                WHERE waits
                FOR UPDATE OF held SKIP LOCKED
            ), gone AS (
                DELETE FROM ductape.held WHERE ctid = ANY (ARRAY (SELECT at FROM locked))
                RETURNING held.*
            ), here AS (
                INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
                SELECT route, priority, due, job, run, attempt, crashes, recurring, key FROM gone
                RETURNING 1
            )
            SELECT count(*) INTO moved_ FROM here;
            total_ := total_ + moved_;
        END LOOP;
    END LOOP;
    RETURN total_;
END
$body$;

-- The keys behind which runs wait, found by leaping through the index.
CREATE FUNCTION ductape.keys_with_held_v1() RETURNS SETOF bigint
LANGUAGE sql STABLE
AS $body$
    WITH RECURSIVE found AS (
        (SELECT key FROM ductape.held ORDER BY key LIMIT 1)
        UNION ALL
        SELECT (SELECT held.key FROM ductape.held WHERE held.key > found.key ORDER BY held.key LIMIT 1)
        FROM found WHERE found.key IS NOT NULL
    )
    SELECT key FROM found WHERE key IS NOT NULL
$body$;

-- The best ready runs of stretches of the queue, `spare_` more of each group than there are slots for it. A stretch is
-- what comes in a route after a place (priority, due, job, run) and before a priority.
CREATE FUNCTION ductape.heads_v1(
    routes_ bigint[], groups_ integer[], after_priorities_ integer[], after_dues_ bigint[], after_jobs_ bigint[],
    after_runs_ bigint[], befores_ bigint[], group_slots_ integer[], slots_ integer, spare_ integer
) RETURNS TABLE (
    at tid, grp integer, room integer, route bigint, priority integer, due bigint, job bigint, run bigint,
    recurring boolean, key bigint, place bigint
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT * FROM (
        SELECT head.at, served.grp, served.room, head.route, head.priority, head.due, head.job, head.run, head.recurring,
               head.key,
               row_number() OVER (PARTITION BY served.grp ORDER BY head.priority, head.due, head.job, head.run) AS place
        FROM (
            SELECT served.*, least(group_slots_[grp + 1], slots_) AS room
            FROM unnest(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_, befores_)
                AS served (route, grp, after_priority, after_due, after_job, after_run, before)
        ) AS served
        CROSS JOIN LATERAL (
            SELECT ctid AS at, route, priority, due, job, run, recurring, key FROM ductape.ready
            WHERE ready.route = served.route AND ready.priority < served.before
              AND (ready.priority, ready.due, ready.job, ready.run)
                  > (served.after_priority, served.after_due, served.after_job, served.after_run)
            ORDER BY priority, due, job, run
            LIMIT served.room + spare_
        ) AS head
        WHERE served.room > 0
    ) AS heads
    WHERE place <= room + spare_;
END
$body$;

-- Pages of the queue that this transaction has asked for so far.
CREATE FUNCTION ductape.looked_v1() RETURNS bigint
LANGUAGE sql VOLATILE
AS $body$
    SELECT pg_stat_get_xact_blocks_fetched('ductape.ready'::regclass)
         + pg_stat_get_xact_blocks_fetched('ductape.ready_pkey'::regclass)
         + pg_stat_get_xact_blocks_fetched('ductape.scheduled'::regclass)
         + pg_stat_get_xact_blocks_fetched('ductape.scheduled_pkey'::regclass)
$body$;

-- Moves what is due, then claims the best ready runs of the given stretches of routes (see heads_v1) for one process: at
-- most `slots_` in all and `group_slots_` of each group of routes. Candidates are a list that is made once, then locked as
-- far as nobody else has them, and taken by their addresses, which are theirs as long as they are locked; a statement that
-- selected and deleted in one might, by a legal plan, take more than it was asked for. It waits for no lock.
--
-- The last row has no job: the highest route, what falls due next, whether there is more, and as `missed` how many pages
-- of the queue were asked for to find out.
CREATE FUNCTION ductape.claim_v1(
    now_ bigint, since_ bigint, owner_ bigint, token_ bigint, routes_ bigint[], groups_ integer[],
    after_priorities_ integer[], after_dues_ bigint[], after_jobs_ bigint[], after_runs_ bigint[], befores_ bigint[],
    group_slots_ integer[], slots_ integer, spare_ integer
) RETURNS TABLE (
    job bigint, run bigint, attempt integer, crashes integer, token bigint, id uuid, name text, route bigint, due bigint,
    scheduled_at bigint, missed bigint, priority integer, retries integer, options text, input text, created bigint,
    recurring boolean, short boolean
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_bitmapscan = off SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    more_ boolean := false;
    looked_ bigint := ductape.looked_v1();
    places_ tid[];
    keyed_ boolean := false;
    keys_ bigint[] := '{}';
    refused_ bigint := 0;
    last_ bigint;
    short_ boolean := false;
    again_ boolean;
    room_ integer := least(slots_, group_slots_[1]);
    wanted_ bigint;
BEGIN
    -- What is lost with the server's memory is claimed again: at least once.
    SET LOCAL synchronous_commit = off;
    IF EXISTS (SELECT 1 FROM ductape.scheduled WHERE due > since_ AND due <= now_)
        OR EXISTS (SELECT 1 FROM ductape.far WHERE day <= now_ / 86400000 + 1)
    THEN
        more_ := ductape.promote_v1(now_, since_);
    END IF;
    IF slots_ > 0 THEN
        -- A process that is taken for dead must not claim beside that: nobody would take its runs back.
        PERFORM 1 FROM ductape.instances WHERE instances.id = owner_ FOR KEY SHARE SKIP LOCKED;
        IF NOT FOUND THEN
            slots_ := 0;
        END IF;
    END IF;
    IF slots_ > 0 AND EXISTS (SELECT 1 FROM ductape.keys) THEN
        keyed_ := true;
        LOOP
            -- The keys of what may be claimed, as far as nobody else is about to claim by them. What they have room for is
            -- asked for by the statements after this one, which see all that was begun before the lock.
            SELECT coalesce(array_agg(id), '{}') INTO keys_ FROM (
                SELECT id FROM ductape.keys
                WHERE id = ANY (keys_ || ARRAY (
                    SELECT DISTINCT key
                    FROM ductape.heads_v1(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                          befores_, group_slots_, slots_, spare_) AS heads
                    WHERE key IS NOT NULL))
                FOR UPDATE SKIP LOCKED
            ) AS locked;
            -- Runs behind full keys are moved out of the way.
            WITH room AS MATERIALIZED (
                SELECT id, max - (SELECT count(*) FROM ductape.running WHERE running.key = keys.id) AS free
                FROM ductape.keys WHERE id = ANY (keys_)
            ), ranked AS MATERIALIZED (
                SELECT heads.*, row_number() OVER (PARTITION BY key ORDER BY priority, due, job, run) AS number
                FROM ductape.heads_v1(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                      befores_, group_slots_, slots_, spare_) AS heads
                WHERE key = ANY (keys_)
            ), behind AS MATERIALIZED (
                SELECT ready.* FROM ranked JOIN room ON room.id = ranked.key
                JOIN ductape.ready ON ready.route = ANY (ARRAY[ranked.route]) AND ready.priority = ranked.priority
                    AND ready.due = ranked.due AND ready.job = ranked.job AND ready.run = ranked.run
                WHERE number > free
                FOR UPDATE OF ready SKIP LOCKED
            ), gone AS (
                DELETE FROM ductape.ready USING behind
                WHERE ready.route = ANY (ARRAY[behind.route]) AND ready.priority = behind.priority AND ready.due = behind.due
                  AND ready.job = behind.job AND ready.run = behind.run
            ), here AS (
                INSERT INTO ductape.held (key, route, priority, due, job, run, attempt, crashes, recurring)
                SELECT key, route, priority, due, job, run, attempt, crashes, recurring FROM behind
                RETURNING 1
            )
            SELECT count(*) INTO last_ FROM here;
            refused_ := refused_ + last_;
            EXIT WHEN last_ = 0 OR refused_ >= 250;
        END LOOP;
    END IF;
    IF slots_ > 0 AND NOT keyed_ AND cardinality(group_slots_) = 1 THEN
        -- The same as below, without what only keys and groups need.
        WITH heads AS MATERIALIZED (
            SELECT head.*
            FROM unnest(routes_, after_priorities_, after_dues_, after_jobs_, after_runs_, befores_)
                AS served (route, after_priority, after_due, after_job, after_run, before)
            CROSS JOIN LATERAL (
                SELECT ctid AS at, priority, due, job, run, recurring FROM ductape.ready
                WHERE ready.route = served.route AND ready.priority < served.before
                  AND (ready.priority, ready.due, ready.job, ready.run)
                      > (served.after_priority, served.after_due, served.after_job, served.after_run)
                ORDER BY priority, due, job, run
                LIMIT room_ + spare_
            ) AS head
        ), series_locked AS MATERIALIZED (
            SELECT series.job FROM ductape.series
            WHERE series.job = ANY (SELECT DISTINCT job FROM heads WHERE recurring)
            FOR UPDATE SKIP LOCKED
        ), locked AS (
            SELECT ready.ctid AS at, ready.recurring
            FROM (SELECT * FROM heads
                  WHERE NOT recurring OR job IN (SELECT job FROM series_locked)
                  ORDER BY priority, due, job, run
                  LIMIT room_ + spare_) AS candidates
            JOIN ductape.ready ON ready.ctid = candidates.at
            ORDER BY candidates.priority, candidates.due, candidates.job, candidates.run
            LIMIT room_
            FOR UPDATE OF ready SKIP LOCKED
        )
        SELECT array_agg(at), bool_or(recurring), count(*) < least(room_, (SELECT count(*) FROM heads))
        INTO places_, again_, short_ FROM locked;
    ELSIF slots_ > 0 THEN
        WITH candidates AS MATERIALIZED (
            SELECT * FROM ductape.heads_v1(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                           befores_, group_slots_, slots_, spare_)
        ), series_locked AS MATERIALIZED (
            SELECT series.job FROM ductape.series
            WHERE series.job = ANY (SELECT DISTINCT job FROM candidates WHERE recurring)
            FOR UPDATE SKIP LOCKED
        ), locked AS MATERIALIZED (
            SELECT candidates.*
            FROM (SELECT * FROM candidates
                  WHERE NOT recurring OR job IN (SELECT job FROM series_locked)
                  ORDER BY priority, due, job, run) AS candidates
            JOIN ductape.ready ON ready.ctid = candidates.at
            FOR UPDATE OF ready SKIP LOCKED
        ), free AS MATERIALIZED (
            SELECT id, max - (SELECT count(*) FROM ductape.running WHERE running.key = keys.id) AS free
            FROM ductape.keys WHERE keyed_ AND id = ANY (keys_)
        ), allowed AS (
            SELECT numbered.* FROM (
                SELECT locked.*, row_number() OVER (PARTITION BY key ORDER BY priority, due, job, run) AS number FROM locked
            ) AS numbered
            LEFT JOIN free ON free.id = numbered.key
            WHERE numbered.key IS NULL OR numbered.number <= free.free
        ), ranked AS (
            SELECT *, row_number() OVER (PARTITION BY grp ORDER BY priority, due, job, run) AS rank FROM allowed
        ), best AS (
            SELECT at, recurring FROM ranked WHERE rank <= room ORDER BY priority, due, job, run LIMIT slots_
        )
        SELECT array_agg(at), bool_or(recurring), count(*) < least(slots_, (
                   SELECT count(*) FROM candidates WHERE place <= room AND key IS NULL))
        INTO places_, again_, short_ FROM best;
    END IF;
    looked_ := ductape.looked_v1() - looked_;
    IF places_ IS NOT NULL THEN
        wanted_ := (SELECT coalesce(bit_or(events), 0) FROM ductape.webhooks WHERE disabled IS NULL);
        RETURN QUERY
        WITH gone AS MATERIALIZED (
            DELETE FROM ductape.ready WHERE ctid = ANY (places_) RETURNING *
        ), taken AS MATERIALIZED (
            INSERT INTO ductape.running (job, run, owner, token, attempt, crashes, route, priority, due, started, recurring, key)
            SELECT job, run, owner_, token_ + row_number() OVER (ORDER BY priority, due, job, run), attempt, crashes, route,
                   priority, due, now_, recurring, key
            FROM gone
            RETURNING *
        ), moved AS (
            UPDATE ductape.series
            SET live_queued = live_queued - n, live_running = live_running + n
            FROM (SELECT job, min(route) AS route, count(*) AS n FROM taken WHERE again_ AND recurring GROUP BY job) AS moved
            WHERE series.job = moved.job
            RETURNING moved.route, CASE WHEN series.live_running > moved.n THEN 2 ELSE 1 END AS was, series.paused
        ), started AS (
            SELECT route, count(*) AS n FROM taken WHERE NOT recurring GROUP BY route
            UNION ALL
            SELECT route, count(*) FROM moved WHERE was = 1 AND NOT paused GROUP BY route
        ), counted AS (
            INSERT INTO ductape.counters (route, kind, n)
            SELECT route, kind, sum(CASE kind WHEN 1 THEN -started.n ELSE started.n END)
            FROM started CROSS JOIN (VALUES (1), (2)) AS kinds (kind)
            GROUP BY route, kind
        ), told AS (
            INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions)
            SELECT 1, now_, jobs.id, jobs.name, taken.route, 2, coalesce(occurrences.scheduled_at, jobs.due, taken.due),
                   coalesce(series.ended, (SELECT count(*) FROM ductape.runs
                                           WHERE runs.job = taken.job AND runs.status IN (3, 4, 5)))
            FROM taken
            JOIN ductape.jobs ON jobs.seq = ANY (ARRAY[taken.job])
            JOIN ductape.routes ON routes.id = taken.route
            LEFT JOIN ductape.series ON taken.recurring AND series.job = taken.job
            LEFT JOIN ductape.occurrences ON taken.recurring AND occurrences.job = taken.job AND occurrences.run = taken.run
            WHERE wanted_ & 2 <> 0 AND namespace <> 'webhooks'
            ORDER BY taken.token
        )
        SELECT taken.job, taken.run, taken.attempt, taken.crashes, taken.token, jobs.id, jobs.name, taken.route, taken.due,
               coalesce(occurrences.scheduled_at, jobs.due, taken.due), coalesce(occurrences.missed, 0), taken.priority,
               jobs.retries, jobs.options, jobs.input, jobs.created, taken.recurring, false
        FROM taken
        JOIN ductape.jobs ON jobs.seq = ANY (ARRAY[taken.job])
        LEFT JOIN ductape.occurrences ON taken.recurring AND occurrences.job = taken.job AND occurrences.run = taken.run;
    END IF;
    IF keyed_ THEN
        -- What is claimed now makes room for more to be claimable.
        PERFORM ductape.free_v1(keys_);
    END IF;
    RETURN QUERY
    SELECT NULL::bigint, NULL::bigint, NULL::integer, NULL::integer, NULL::bigint, NULL::uuid, NULL::text,
           (SELECT coalesce(max(routes.id), 0) FROM ductape.routes),
           least((SELECT scheduled.due FROM ductape.scheduled WHERE scheduled.due > since_ ORDER BY due LIMIT 1),
                 (SELECT (day - 1) * 86400000 FROM ductape.far ORDER BY day LIMIT 1),
                 (SELECT next_at FROM ductape.series WHERE next_at > now_ AND NOT paused ORDER BY next_at LIMIT 1)),
           NULL::bigint, looked_, NULL::integer, NULL::integer, NULL::text, NULL::text, NULL::bigint, NULL::boolean,
           -- Also when others had locked some of what could have been claimed.
           more_ OR short_ OR refused_ >= 250;
END
$body$;
