CREATE TABLE IF NOT EXISTS {table} (
    account         text COLLATE "C" PRIMARY KEY,
    format          bigint,
    version         bigint,
    access_token    text,
    issued_at_ms    bigint,
    lifetime_ms     bigint,
    refresh_token   text,
    presented_at_ms bigint,
    refused_at_ms   bigint,
    lineage         text,
    lease_owner     text,
    lease_until     timestamptz
)
