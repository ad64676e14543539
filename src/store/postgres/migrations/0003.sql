-- When a route was added, in microseconds of the server's clock and above all that were added before: never the same again, also
-- when the server loses what it has committed, or is restored from a copy of itself or of another database. Processes tell
-- by it whether what they know is still true.
ALTER TABLE ductape.routes ADD COLUMN added bigint;
UPDATE ductape.routes SET added = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + id;
ALTER TABLE ductape.routes
    ALTER COLUMN added SET DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    ALTER COLUMN added SET NOT NULL;
CREATE UNIQUE INDEX routes_by_added ON ductape.routes (added);

-- Fails when one of these routes is no longer there, each given by its number and by when it was added.
CREATE FUNCTION ductape.check_routes_v1(ids_ bigint[], added_ bigint[]) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $body$
BEGIN
    IF (SELECT count(*) FROM ductape.routes WHERE id = ANY (ids_) AND added = ANY (added_)) = cardinality(ids_) THEN
        RETURN true;
    END IF;
    RAISE EXCEPTION 'the targets of these jobs are no longer known to the database'
        USING ERRCODE = 'DTR01', HINT = 'it was restored or has lost commits; make the statement again';
END
$body$;

-- As dispatch_v1, for a statement that names a route also by when it was added.
CREATE FUNCTION ductape.dispatch_v2(job_ text) RETURNS TABLE (
    job_id text, status text, recurring boolean, scheduled_at bigint, next_run_at bigint
)
LANGUAGE plpgsql VOLATILE
AS $body$
BEGIN
    PERFORM ductape.check_routes_v1(
        ARRAY[(job_::json ->> 'route')::bigint], ARRAY[(job_::json ->> 'route_added')::bigint]);
    RETURN QUERY SELECT * FROM ductape.dispatch_v1(job_);
END
$body$;

-- What other roles make in schemas of the search path must not be called in the place of what these functions mean.
DO $do$
DECLARE
    function_ regprocedure;
BEGIN
    FOR function_ IN
        SELECT oid FROM pg_catalog.pg_proc
        WHERE pronamespace = (SELECT relnamespace FROM pg_catalog.pg_class
                              WHERE oid = (SELECT tableoid FROM ductape.versions LIMIT 1))
    LOOP
        EXECUTE pg_catalog.format('ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp', function_);
    END LOOP;
END
$do$;
