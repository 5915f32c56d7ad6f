-- Releases the lease if the owner still holds it, and wakes the processes that wait for the lease.
-- KEYS: the lease. ARGV: the owner, the channel.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    -- Waiting processes poll as well, so a server that denies the channel is good enough.
    redis.pcall('PUBLISH', ARGV[2], '')
    return 1
end
return 0
