-- Replaces the record if it is still at the expected version. Returns 1 if the new record is
-- stored, 0 on a conflict.
-- KEYS: the record. ARGV: the expected version ('' for no record), the new version, the number of
-- arguments that the new fields take, the new fields with their values, the names of the fields to
-- remove.
local version = redis.call('HGET', KEYS[1], 'version')
-- No two saves share a version: this command was sent before, and only its response was lost.
if version == ARGV[2] then
    return 1
end
if version then
    if version ~= ARGV[1] then
        return 0
    end
elseif ARGV[1] ~= '' or redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
-- A full server may refuse this step alone, so the step comes first: there is nothing to undo yet.
local fields = tonumber(ARGV[3])
redis.call('HSET', KEYS[1], unpack(ARGV, 4, 3 + fields))
if #ARGV > 3 + fields then
    redis.call('HDEL', KEYS[1], unpack(ARGV, 4 + fields))
end
redis.call('PERSIST', KEYS[1])
return 1
