-- As heads_v2 and claim_v2, which processes of the version before still call: these claim nothing whose time has not come by
-- the clock of who claims, within a minute, whoever moved it to `ready`: a process whose clock is ahead may have.

-- The best ready runs of stretches of the queue, `spare_` more of each group than there are slots for it. A stretch is
-- what comes in a route after a place (priority, due, job, run) and before a priority. `suspect_`: only runs that crashed so
-- often that they run alone (`rules::crash`); otherwise all but these. `latest_`: what is due later is left out.
CREATE FUNCTION ductape.heads_v3(
    routes_ bigint[], groups_ integer[], after_priorities_ integer[], after_dues_ bigint[], after_jobs_ bigint[],
    after_runs_ bigint[], befores_ bigint[], group_slots_ integer[], slots_ integer, spare_ integer,
    suspect_ boolean, latest_ bigint
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
    IF suspect_ THEN
        RETURN QUERY
        SELECT head.at, served.grp, served.room, head.route, head.priority, head.due, head.job, head.run, head.recurring,
               head.key,
               row_number() OVER (PARTITION BY served.grp ORDER BY head.priority, head.due, head.job, head.run)
        FROM (
            SELECT served.*, least(group_slots_[grp + 1], slots_) AS room
            FROM unnest(routes_, groups_) AS served (route, grp)
        ) AS served
        CROSS JOIN LATERAL (
            SELECT ctid AS at, route, priority, due, job, run, recurring, key FROM ductape.ready
            WHERE ready.route = served.route AND ready.crashes >= 3
              AND (ready.due <= latest_ OR EXISTS (
                  -- Meant to run at once by who dispatched or changed it: its clock may be ahead as it likes.
                  SELECT 1 FROM ductape.jobs WHERE jobs.seq = ready.job AND jobs.updated >= ready.due))
            ORDER BY priority, due, job, run
            LIMIT served.room + spare_
        ) AS head
        WHERE served.room > 0;
        RETURN;
    END IF;
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
            WHERE ready.route = served.route AND ready.priority < served.before AND ready.crashes < 3
              AND (ready.priority, ready.due, ready.job, ready.run)
                  > (served.after_priority, served.after_due, served.after_job, served.after_run)
              AND (ready.due <= latest_ OR EXISTS (
                  -- Meant to run at once by who dispatched or changed it: its clock may be ahead as it likes.
                  SELECT 1 FROM ductape.jobs WHERE jobs.seq = ready.job AND jobs.updated >= ready.due))
            ORDER BY priority, due, job, run
            LIMIT served.room + spare_
        ) AS head
        WHERE served.room > 0
    ) AS heads
    WHERE place <= room + spare_;
END
$body$;

-- Moves what is due, then claims the best ready runs of the given stretches of routes (see heads_v3) for one process: at
-- most `slots_` in all and `group_slots_` of each group of routes. Candidates are a list that is made once, then locked as
-- far as nobody else has them, and taken by their addresses, which are theirs as long as they are locked; a statement that
-- selected and deleted in one might, by a legal plan, take more than it was asked for. It waits for no lock. `suspect_`: of
-- the runs that run alone, which other claims leave out (see heads_v3).
--
-- The last row has no job: the highest route, what falls due next, whether there is more, and as `missed` how many pages
-- of the queue were asked for to find out.
CREATE FUNCTION ductape.claim_v3(
    now_ bigint, since_ bigint, owner_ bigint, token_ bigint, routes_ bigint[], groups_ integer[],
    after_priorities_ integer[], after_dues_ bigint[], after_jobs_ bigint[], after_runs_ bigint[], befores_ bigint[],
    group_slots_ integer[], slots_ integer, spare_ integer, suspect_ boolean
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
    -- Clocks of machines that are kept by the network differ by less.
    latest_ bigint := now_ + 60000;
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
                    FROM ductape.heads_v3(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                          befores_, group_slots_, slots_, spare_, suspect_, latest_) AS heads
                    WHERE key IS NOT NULL))
                FOR UPDATE SKIP LOCKED
            ) AS locked;
            -- Runs behind full keys are moved out of the way.
            WITH room AS MATERIALIZED (
                SELECT id, max - (SELECT count(*) FROM ductape.running WHERE running.key = keys.id) AS free
                FROM ductape.keys WHERE id = ANY (keys_)
            ), ranked AS MATERIALIZED (
                SELECT heads.*, row_number() OVER (PARTITION BY key ORDER BY priority, due, job, run) AS number
                FROM ductape.heads_v3(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                      befores_, group_slots_, slots_, spare_, suspect_, latest_) AS heads
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
    IF slots_ > 0 AND NOT keyed_ AND NOT suspect_ AND cardinality(group_slots_) = 1 THEN
        -- The same as below, without what only keys and groups need.
        WITH heads AS MATERIALIZED (
            SELECT head.*
            FROM unnest(routes_, after_priorities_, after_dues_, after_jobs_, after_runs_, befores_)
                AS served (route, after_priority, after_due, after_job, after_run, before)
            CROSS JOIN LATERAL (
                SELECT ctid AS at, priority, due, job, run, recurring FROM ductape.ready
                WHERE ready.route = served.route AND ready.priority < served.before AND ready.crashes < 3
                  AND (ready.priority, ready.due, ready.job, ready.run)
                      > (served.after_priority, served.after_due, served.after_job, served.after_run)
                  AND (ready.due <= latest_ OR EXISTS (
                      SELECT 1 FROM ductape.jobs WHERE jobs.seq = ready.job AND jobs.updated >= ready.due))
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
            SELECT * FROM ductape.heads_v3(routes_, groups_, after_priorities_, after_dues_, after_jobs_, after_runs_,
                                           befores_, group_slots_, slots_, spare_, suspect_, latest_)
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
