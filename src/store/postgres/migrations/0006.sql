-- Figures over time: what happened to the jobs of a route in a minute (span 0) or an hour (1) that begins at `at`; JSON.
CREATE TABLE ductape.figures (
    span    integer NOT NULL,
    at      bigint NOT NULL,
    route   bigint NOT NULL,
    figures text NOT NULL,
    PRIMARY KEY (span, at, route)
);
