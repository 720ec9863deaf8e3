-- From now on only this connection speaks for the part. KEYS: 1 epoch. ARGV: 1 epoch id, 2 the part's field, 3 its connection.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return {-1} end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return {1, redis.call('HINCRBY', KEYS[1], 'n', 1)}
