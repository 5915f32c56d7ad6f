-- Removes the record if it is still at the expected version.
-- KEYS: the record. ARGV: the expected version, '1' if this was sent before and its answer was lost.
local version = redis.call('HGET', KEYS[1], 'version')
if version == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
-- A version never comes back: if it is gone, it was us or somebody who did the same.
if ARGV[2] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then
    return 1
end
return 0
