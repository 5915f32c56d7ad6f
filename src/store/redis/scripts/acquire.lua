-- Takes the lease if nobody has it. Says -3 if it is ours, else for how many milliseconds the other
-- holder has it (-1: for ever; such a key is not ours).
-- KEYS: the lease. ARGV: its owner, its time to live in milliseconds.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
    return -3
end
-- Ours already: this was sent before, and its answer was lost.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return -3
end
return redis.call('PTTL', KEYS[1])
