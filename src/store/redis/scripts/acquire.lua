-- Acquires the lease if no owner holds it. Returns -3 if the caller holds the lease now, else for how
-- many milliseconds another owner holds it (-1: without an end; this crate writes no such key).
-- KEYS: the lease. ARGV: the owner, the time to live in milliseconds.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return -3
end
-- No two leases share an owner: this command was sent before, and its response was lost.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return -3
end
return redis.call('PTTL', KEYS[1])
