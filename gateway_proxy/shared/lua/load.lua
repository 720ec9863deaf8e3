-- Begins to load a budget's counter: from now on it counts what happens, on top of what the leases here hold.
-- KEYS: 1 epoch, 2 entries of the root key, 3 the budget. ARGV: 5 key id, 6 label, 7 'start:end' in ms, 8 token.
-- Returns 2 if somebody has loaded it meanwhile; else 1, number, now (ms), then the names of the leases whose charges the ledger's sum must leave out.
local key, key_id, label = KEYS[3], ARGV[5], ARGV[6]
local from, to = string.match(ARGV[7], '^(%d+):(%d+)$')
from, to = tonumber(from), tonumber(to)
local there = redis.call('HMGET', key, label .. '|s', label .. '|t')
if there[1] and not there[2] then return {2, number, now_ms} end
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do
  local other = string.match(flat[i], '^(.*)|w$')
  if other and tonumber(string.match(flat[i + 1], ':(%d+)$')) < now_ms - 3600000 then
    redis.call('HDEL', key, other .. '|w', other .. '|s', other .. '|r', other .. '|t')
  end
end
redis.call('HSET', key, label .. '|w', ARGV[7], label .. '|s', '0', label .. '|r', '0', label .. '|t', ARGV[8])
redis.call('PEXPIRE', key, 172800000)
local reply = {1, number, now_ms}
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  local admitted, state, held = string.match(entries[i + 1], '^(%d+);([^;]*);(.*)$')
  local at, touches = tonumber(admitted), false
  if at >= from and at < to then
    for id, amount in string.gmatch(held, '([^=,]+)=(%d+)') do
      if id == key_id then
        if state == '-' then redis.call('HINCRBY', key, label .. '|r', amount)
        elseif not touches then redis.call('HINCRBY', key, label .. '|s', state) end
        touches = true
      end
    end
    if touches then reply[#reply + 1] = entries[i] end
  end
end
return reply
