-- Forgets leases of a gateway that is gone; budgets that they touch are counted anew.
-- KEYS: 1 epoch, 2 entries of the root key. ARGV: 5 the prefix of the root's budgets, then names.
for i = 6, #ARGV do
  local entry = redis.call('HGET', KEYS[2], ARGV[i])
  if entry then
    redis.call('HDEL', KEYS[2], ARGV[i])
    for key_id in string.gmatch(string.match(entry, '^%d+;[^;]*;(.*)$'), '([^=,]+)=') do
      redis.call('DEL', ARGV[5] .. key_id)
    end
  end
end
return {1, number, now_ms}
