-- Change capture and blue/green deployments publish all tables, and a deletion from one without a key then fails. Rows that
-- are alike may stand for each other here, so that all their columns will do; a key would cost an index.
ALTER TABLE ductape.counters REPLICA IDENTITY FULL;

-- The channel of notifications. Who may not read this cannot make processes look for work.
INSERT INTO ductape.marks (name, value)
VALUES ('notification channel', 'ductape_' || replace(gen_random_uuid()::text, '-', ''))
ON CONFLICT DO NOTHING;

-- As before, but for the clock: what is due is decided by that of the process that made the statement, whatever the server's
-- says. A job whose time comes before the statement is executed is moved on by the next claim.
CREATE OR REPLACE FUNCTION ductape.dispatch_v1(job_ text) RETURNS TABLE (
    job_id text, status text, recurring boolean, scheduled_at bigint, next_run_at bigint
)
LANGUAGE plpgsql VOLATILE
AS $body$
#variable_conflict use_column
DECLARE
    job json := job_::json;
    created_ bigint := job ->> 'created';
    due_ bigint := job ->> 'due';
    recurring_ boolean := job ->> 'spec' IS NOT NULL;
    tags_ text[] := ARRAY (SELECT json_array_elements_text(job -> 'tags'));
    known_ ductape.jobs;
    series_ ductape.series;
    last_ ductape.runs;
    status_ integer;
BEGIN
    IF EXISTS (SELECT 1 FROM ductape.insert_v1(
        created_, ARRAY[(job ->> 'id')::uuid], ARRAY[job ->> 'name'], ARRAY[(job ->> 'route')::bigint],
        ARRAY[(job ->> 'priority')::integer], ARRAY[due_], ARRAY[(job ->> 'retries')::integer], ARRAY[job ->> 'spec'],
        ARRAY[(job ->> 'fingerprint')::bigint], ARRAY[created_], ARRAY[job ->> 'options'],
        ARRAY[job ->> 'input'], ARRAY[(job ->> 'key')::bigint],
        ARRAY (SELECT 1::bigint FROM unnest(tags_)), tags_))
    THEN
        RETURN QUERY SELECT job ->> 'job_id', CASE WHEN due_ <= created_ THEN 'queued' ELSE 'scheduled' END,
            recurring_, coalesce(due_, created_), CASE WHEN recurring_ THEN due_ END;
        RETURN;
    END IF;
    SELECT * INTO known_ FROM ductape.jobs WHERE name = job ->> 'name' OR id = (job ->> 'id')::uuid;
    IF known_.seq IS NULL OR job ->> 'conflict' = 'error' THEN
        RAISE EXCEPTION 'a job with the id % exists', job ->> 'job_id' USING ERRCODE = 'unique_violation';
    END IF;
    IF known_.recurring THEN
        SELECT * INTO series_ FROM ductape.series WHERE series.job = known_.seq;
        RETURN QUERY SELECT job ->> 'job_id',
            CASE WHEN series_.state = 0 AND NOT series_.paused AND series_.live_queued + series_.live_running > 0
                 THEN 'queued' ELSE 'scheduled' END,
            true, coalesce(series_.next_at, series_.last_at, known_.due, known_.created),
            CASE WHEN NOT series_.paused THEN series_.next_at END;
        RETURN;
    END IF;
    SELECT * INTO last_ FROM ductape.runs WHERE runs.job = known_.seq AND runs.run = known_.run ORDER BY attempt DESC LIMIT 1;
    -- Waiting for its time, or until it is resumed: all else is or was due.
    status_ := CASE WHEN EXISTS (SELECT 1 FROM ductape.paused WHERE paused.job = known_.seq) THEN 6
        WHEN EXISTS (SELECT 1 FROM ductape.scheduled WHERE due = coalesce(last_.next_due, known_.due) AND scheduled.job = known_.seq)
          OR EXISTS (SELECT 1 FROM ductape.far WHERE day = known_.due / 86400000 AND far.job = known_.seq) THEN 0
        ELSE 1 END;
    RETURN QUERY SELECT job ->> 'job_id', CASE WHEN status_ = 1 THEN 'queued' ELSE 'scheduled' END, false,
        coalesce(last_.next_due, known_.due, known_.created), NULL::bigint;
END
$body$;
