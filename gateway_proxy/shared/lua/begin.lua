-- The one script without a guard: begins an epoch, whatever was there before. KEYS: 1 epoch. ARGV: 1 epoch id.
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'n', 0)
return {1}
