-- Runs of series that are over: of those that completed the steps, of those that failed the steps of earlier ones.
DELETE FROM ductape.steps USING unnest($1, $2, $3) AS given (job, run, failed)
WHERE steps.job = given.job
  AND CASE WHEN failed THEN steps.run < given.run
                            AND NOT EXISTS (SELECT 1 FROM ductape.occurrences
                                            WHERE occurrences.job = steps.job AND occurrences.run = steps.run)
           ELSE steps.run = given.run END
