-- A part of a gateway says that it lives, and hears who else does.
-- KEYS: 1 epoch, 2 parts. ARGV: 5 the part.
-- Returns 1, number, now (ms), then part and last beat (ms) of each.
redis.call('ZADD', KEYS[2], now_ms, ARGV[5])
local reply = {1, number, now_ms}
for _, value in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')) do reply[#reply + 1] = value end
return reply
