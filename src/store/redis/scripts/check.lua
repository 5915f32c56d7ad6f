-- Runs the commands of the store on a key that does not exist, so that none of them changes anything.
-- Fails as a save would: without a right, on a read-only replica, or on a server that denies writes.
-- Leaves out HSET, which has no form without an effect.
-- KEYS: a key that no account has.
local key = KEYS[1]
if redis.call('EXISTS', key) == 1 then
    return 0
end
-- The first of the commands that write: a full server denies no command after that. XX: only if the key
-- exists.
redis.call('SET', key, '', 'XX')
redis.call('HGETALL', key)
redis.call('HGET', key, 'version')
redis.call('HDEL', key, 'version')
redis.call('PERSIST', key)
redis.call('DEL', key)
redis.call('GET', key)
redis.call('PTTL', key)
redis.call('PEXPIRE', key, '1')
return 1
