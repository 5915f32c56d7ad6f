-- Gives the lease back if it is still ours, and wakes those who wait for it.
-- KEYS: the lease. ARGV: its owner, the channel.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    -- They poll as well: a server that forbids the channel is good enough.
    redis.pcall('PUBLISH', ARGV[2], '')
    return 1
end
return 0
