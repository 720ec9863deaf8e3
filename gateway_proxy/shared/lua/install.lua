-- Adds the ledger's sum to a budget that is being loaded, and puts it in force.
-- KEYS: 1 epoch, 2 the budget. ARGV: 5 label, 6 token, 7 nano-USD.
-- Returns 1, number, now (ms), spent, reserved; 0 when a later load took over.
local label = ARGV[5]
if redis.call('HGET', KEYS[2], label .. '|t') ~= ARGV[6] then return {0, number, now_ms} end
redis.call('HDEL', KEYS[2], label .. '|t')
redis.call('HINCRBY', KEYS[2], label .. '|s', ARGV[7])
local told = redis.call('HMGET', KEYS[2], label .. '|s', label .. '|r')
return {1, number, now_ms, told[1], told[2]}
