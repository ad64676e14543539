-- Writes jobs that run once or recur, as far as their ids are free; answers with the places of those it wrote.
CREATE FUNCTION ductape.insert_v1(
    now_ bigint, ids_ uuid[], names_ text[], routes_ bigint[], priorities_ integer[], dues_ bigint[],
    retries_ integer[], specs_ text[], fingerprints_ bigint[], createds_ bigint[], options_ text[], inputs_ text[],
    keys_ bigint[], tag_places_ bigint[], tags_ text[]
) RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_nestloop = off SET enable_hashjoin = on SET jit = off
AS $body$
#variable_conflict use_column
DECLARE
    wanted_ bigint := (SELECT coalesce(bit_or(events), 0) FROM ductape.webhooks WHERE disabled IS NULL);
    soon_ bigint := (now_ / 86400000 + 2) * 86400000;
    written_ bigint;
BEGIN
    IF array_remove(names_, NULL) = '{}' AND array_remove(specs_, NULL) = '{}' THEN
        -- Ids that were generated are free, unless this is sent again: nobody asks before writing.
        BEGIN
            WITH new AS MATERIALIZED (
                SELECT nextval('ductape.job_numbers') AS seq, *
                FROM unnest(ids_, routes_, priorities_, dues_, retries_, createds_, options_, inputs_, keys_)
                     WITH ORDINALITY AS given (id, route, priority, due, retries, created, options, input, key, place)
            ), written AS (
                INSERT INTO ductape.jobs (seq, id, route, priority, due, retries, recurring, run, created, updated, options, input, key)
                SELECT seq, id, route, priority, due, retries, false, 1, created, created, options, input, key FROM new
            ), at_once AS (
                INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
                SELECT route, priority, due, seq, 1, 1, 0, false, key FROM new WHERE due <= now_
            ), soon AS (
                INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
                SELECT due, seq, 1, 1, 0, false FROM new WHERE due > now_ AND due < soon_
            ), later AS (
                INSERT INTO ductape.far (day, job)
                SELECT due / 86400000, seq FROM new WHERE due > now_ AND due >= soon_
            ), tagged AS (
                INSERT INTO ductape.tags (tag, job)
                SELECT DISTINCT tag, seq FROM unnest(tag_places_, tags_) AS tags (place, tag) JOIN new USING (place)
            ), told AS (
                INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions)
                SELECT 0, now_, new.id, NULL, new.route, CASE WHEN due <= now_ THEN 1 ELSE 0 END, due, 0
                FROM new JOIN ductape.routes ON routes.id = new.route
                WHERE wanted_ & 1 <> 0 AND namespace <> 'webhooks'
                ORDER BY place
            ), counted AS (
                INSERT INTO ductape.counters (route, kind, n)
                SELECT route, CASE WHEN due <= now_ THEN 1 ELSE 0 END, count(*) FROM new GROUP BY 1, 2
            )
            SELECT count(*) INTO written_ FROM new;
            RETURN QUERY SELECT generate_series(1, written_);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            -- Some are there already; nothing of the above was written.
        END;
    END IF;
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT nextval('ductape.job_numbers') AS seq, *,
               CASE WHEN spec IS NULL AND due <= now_ THEN 1 WHEN spec IS NOT NULL AND due IS NULL THEN 3 ELSE 0 END AS status
        FROM unnest(ids_, names_, routes_, priorities_, dues_, retries_, specs_, fingerprints_, createds_, options_, inputs_, keys_)
             WITH ORDINALITY AS given (id, name, route, priority, due, retries, spec, fingerprint, created, options, input, key, place)
    ), written AS (
        INSERT INTO ductape.jobs (seq, id, name, route, priority, due, retries, recurring, run, created, updated, options, input, key)
        SELECT seq, id, name, route, priority, due, retries, spec IS NOT NULL, 1, created, created, options, input, key
        FROM given
        ON CONFLICT DO NOTHING
        RETURNING seq
    ), new AS MATERIALIZED (
        SELECT given.* FROM given JOIN written USING (seq)
    ), at_once AS (
        INSERT INTO ductape.ready (route, priority, due, job, run, attempt, crashes, recurring, key)
        SELECT route, priority, due, seq, 1, 1, 0, false, key FROM new WHERE status = 1
    ), soon AS (
        INSERT INTO ductape.scheduled (due, job, run, attempt, crashes, recurring)
        SELECT due, seq, 1, 1, 0, false FROM new
        WHERE status = 0 AND spec IS NULL AND due / 86400000 <= now_ / 86400000 + 1
    ), later AS (
        INSERT INTO ductape.far (day, job)
        SELECT due / 86400000, seq FROM new
        WHERE status = 0 AND spec IS NULL AND due / 86400000 > now_ / 86400000 + 1
    ), recurring AS (
        INSERT INTO ductape.series (job, spec, version, state, ended_at, next_at, runs, ended, succeeded, failed,
                                    live_queued, live_running, live_waiting, fingerprint)
        SELECT seq, spec, 1, status, CASE WHEN due IS NULL THEN now_ END, due, 0, 0, 0, 0, 0, 0, 0, fingerprint
        FROM new WHERE spec IS NOT NULL
    ), over AS (
        INSERT INTO ductape.ended (status, ended, job) SELECT 3, now_, seq FROM new WHERE status = 3
    ), tagged AS (
        INSERT INTO ductape.tags (tag, job)
        SELECT DISTINCT tag, seq FROM unnest(tag_places_, tags_) AS tags (place, tag) JOIN new USING (place)
    ), told AS (
        INSERT INTO ductape.outbox (kind, at, id, name, route, status, scheduled_at, executions)
        SELECT 0, now_, new.id, new.name, new.route, status, due, 0
        FROM new JOIN ductape.routes ON routes.id = new.route
        -- Without a run to come nothing was scheduled.
        WHERE wanted_ & 1 <> 0 AND due IS NOT NULL AND namespace <> 'webhooks'
        ORDER BY place
    ), counted AS (
        INSERT INTO ductape.counters (route, kind, n) SELECT route, status, count(*) FROM new GROUP BY route, status
    )
    SELECT place FROM new;
END
$body$;
