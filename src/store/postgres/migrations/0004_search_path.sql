-- As after the migration before, for the functions of this one.
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
