-- Removes the record if it is still at the expected version. Returns 1 if no record is left, 0 on a
-- conflict.
-- KEYS: the record. ARGV: the expected version, which the caller has just seen in the store.
if redis.call('HGET', KEYS[1], 'version') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
-- The record was there a moment ago. If the record is gone, this command removed it when it was
-- sent before, or another process did.
return 1 - redis.call('EXISTS', KEYS[1])
