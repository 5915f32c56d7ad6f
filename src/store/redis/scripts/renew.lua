-- Starts the lease's time to live anew. Returns 1, or 0 if the owner no longer holds the lease.
-- KEYS: the lease. ARGV: the owner, the time to live in milliseconds.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
