-- Hands leases over into a new epoch. Budgets that they touch are counted anew.
-- KEYS: 1 epoch, 2 entries of the root key, then slots. ARGV: 5 the prefix of the root's budgets,
--   6 how many entries, then name and entry of each, then the name of the lease that holds each of the slots.
local entries = tonumber(ARGV[6])
for i = 1, entries do
  local name, entry = ARGV[5 + 2 * i], ARGV[6 + 2 * i]
  redis.call('HSET', KEYS[2], name, entry)
  for key_id in string.gmatch(string.match(entry, '^%d+;[^;]*;(.*)$'), '([^=,]+)=') do
    redis.call('DEL', ARGV[5] .. key_id)
  end
end
for i = 3, #KEYS do
  redis.call('HSET', KEYS[i], ARGV[4 + 2 * entries + i], 1)
  redis.call('PEXPIRE', KEYS[i], 86400000)
end
return {1, number, now_ms}
