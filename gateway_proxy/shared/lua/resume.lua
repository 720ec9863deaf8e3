-- As enter.lua where nobody can say which epoch is in force: only if all that is here continues what was noted before.
-- KEYS: 1 epoch, 2 parts. ARGV: 1 epoch id, 2 the part's field, 3 its connection, 4 the part that the store waits for,
--   5 the number that was noted.
-- Returns 1, number, now (ms); else -1 and what speaks against it.
local epoch = redis.call('HMGET', KEYS[1], 'id', 'n', 'c:' .. ARGV[4])
if epoch[1] ~= ARGV[1] then return {-1, 'it knows another epoch, or none'} end
if not epoch[3] or not redis.call('ZSCORE', KEYS[2], ARGV[4]) then return {-1, 'this gateway was let go'} end
if tonumber(epoch[2]) < tonumber(ARGV[5]) then return {-1, 'it has gone back in time'} end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
local time = redis.call('TIME')
return {1, redis.call('HINCRBY', KEYS[1], 'n', 1), math.floor((time[1] * 1000000 + time[2]) / 1000)}
