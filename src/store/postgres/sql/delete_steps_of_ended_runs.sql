-- Ended runs of series: deletes the steps of completed runs, and for failed runs those of earlier runs.
DELETE FROM ductape.steps USING unnest($1, $2, $3) AS given (job, run, failed)
WHERE steps.job = given.job
  AND CASE WHEN failed THEN steps.run < given.run
                            AND NOT EXISTS (SELECT 1 FROM ductape.occurrences
                                            WHERE occurrences.job = steps.job AND occurrences.run = steps.run)
           ELSE steps.run = given.run END
