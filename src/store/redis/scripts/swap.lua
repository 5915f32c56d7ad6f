-- Replaces the record if it is still at the expected version.
-- KEYS: the record. ARGV: the expected version or '', the new version, '1' if this was sent before
-- and its answer was lost, how many arguments the new fields take, the new fields with their values,
-- the names of fields to remove.
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[3] == '1' and version == ARGV[2] then
    return 1
end
if version then
    if version ~= ARGV[1] then
        return 0
    end
elseif ARGV[1] ~= '' or redis.call('EXISTS', KEYS[1]) == 1 then
    return 0
end
-- The one step that a full server may refuse comes first, while there is nothing to undo.
local fields = tonumber(ARGV[4])
redis.call('HSET', KEYS[1], unpack(ARGV, 5, 4 + fields))
if #ARGV > 4 + fields then
    redis.call('HDEL', KEYS[1], unpack(ARGV, 5 + fields))
end
redis.call('PERSIST', KEYS[1])
return 1
