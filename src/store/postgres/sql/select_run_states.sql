SELECT job, run, 'running' FROM ductape.running
UNION ALL
SELECT job, run, 'ready' FROM ductape.ready
UNION ALL
SELECT job, run, 'held' FROM ductape.held
UNION ALL
SELECT job, run, 'scheduled' FROM ductape.scheduled
UNION ALL
SELECT job, NULL, 'far' FROM ductape.far
UNION ALL
SELECT job, run, 'paused' FROM ductape.paused
UNION ALL
SELECT job, NULL, 'ended' FROM ductape.ended
