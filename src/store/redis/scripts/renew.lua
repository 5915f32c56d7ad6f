-- Starts the lease's time to live anew if it is still ours.
-- KEYS: the lease. ARGV: its owner, its time to live in milliseconds.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
