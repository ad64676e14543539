-- What runs have finished and need not do again.
CREATE TABLE ductape.steps (
    number bigint GENERATED ALWAYS AS IDENTITY, -- rises with the order in which they were finished
    job    bigint NOT NULL,
    run    bigint NOT NULL,
    tag    text NOT NULL,
    result text,
    PRIMARY KEY (job, run, tag)
);
ALTER TABLE ductape.steps SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 2000);

-- Forgets the steps of those of the given runs of one-offs that have completed (3). The usual case is that no run has any.
CREATE FUNCTION ductape.forget_steps_v1(jobs_ bigint[], runs_ bigint[], outcomes_ integer[]) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $body$
BEGIN
    IF EXISTS (SELECT 1 FROM ductape.steps) THEN
        DELETE FROM ductape.steps USING unnest(jobs_, runs_, outcomes_) AS given (job, run, outcome)
        WHERE steps.job = given.job AND steps.run = given.run AND given.outcome = 3
          AND EXISTS (SELECT 1 FROM ductape.runs
                      WHERE runs.job = given.job AND runs.run = given.run AND runs.status = 3);
    END IF;
END
$body$;
