-- Figures over time: what happened to the jobs of a route in a minute (span 0) or an hour (1) that begins at `at`; JSON.
CREATE TABLE figures (
    span    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    route   INTEGER NOT NULL,
    figures TEXT NOT NULL,
    PRIMARY KEY (span, at, route)
) WITHOUT ROWID;
