-- Ends a lease, or a part of it. Repeating it changes nothing (but for the correction of a bucket).
-- KEYS: 1 epoch, 2 entries of the root key, then budgets, then slots, then token buckets.
-- ARGV: 5 name of the lease, 6 nano-USD charged ('' = money stays as it is), 7 time of admission (ms), 8 how many budgets,
--   9 how many slots, then for each budget its key id and a label to tell of,
--   then for each bucket: units to put back (negative: take), units a minute, capacity,
--   level of one that the server does not hold ('' = full).
-- Returns 1, number, now (ms), then for each budget what is spent and reserved under its label ('' = not counted).
local MINUTE = 60000000
local name, charge, budgets, slots = ARGV[5], ARGV[6], tonumber(ARGV[8]), tonumber(ARGV[9])
local reply = {1, number, now_ms}

if charge ~= '' then
  local admitted, state, held = ARGV[7], '-', ''
  local entry = redis.call('HGET', KEYS[2], name)
  if entry then admitted, state, held = string.match(entry, '^(%d+);([^;]*);(.*)$') end
  local amounts, at = {}, tonumber(admitted)
  for key_id, amount in string.gmatch(held, '([^=,]+)=(%d+)') do
    amounts[key_id] = amounts[key_id] or {}
    table.insert(amounts[key_id], amount)
  end
  for i = 1, budgets do
    local key, key_id = KEYS[2 + i], ARGV[8 + 2 * i]
    local taken = amounts[key_id]
    if not taken then held = held .. (held == '' and '' or ',') .. key_id .. '=0' end
    if state == '-' then
      local flat = redis.call('HGETALL', key)
      for j = 1, #flat, 2 do
        local label = string.match(flat[j], '^(.*)|w$')
        if label then
          local from, to = string.match(flat[j + 1], '^(%d+):(%d+)$')
          if at >= tonumber(from) and at < tonumber(to) then
            for _, amount in ipairs(taken or {}) do if amount ~= '0' then redis.call('HINCRBY', key, label .. '|r', '-' .. amount) end end
            redis.call('HINCRBY', key, label .. '|s', charge)
          end
        end
      end
    end
    local label = ARGV[9 + 2 * i]
    local told = redis.call('HMGET', key, label .. '|s', label .. '|r')
    reply[#reply + 1] = told[1] or ''
    reply[#reply + 1] = told[2] or ''
  end
  -- It stays until its row is in the ledger: what is summed up there leaves out those that stand here.
  if state == '-' then redis.call('HSET', KEYS[2], name, admitted .. ';' .. charge .. ';' .. held) end
end
for i = 1, slots do redis.call('HDEL', KEYS[2 + budgets + i], name) end
local first, base = 2 + budgets + slots, 9 + 2 * budgets
for i = 1, #KEYS - first do
  local at = base + 4 * (i - 1)
  local key, units, per_minute = KEYS[first + i], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local full = tonumber(ARGV[at + 3]) * MINUTE
  local row = redis.call('HMGET', key, 'l', 'a')
  local level, since = tonumber(ARGV[at + 4]) or full, now
  if row[1] then
    level, since = tonumber(row[1]), tonumber(row[2])
    if now > since then level, since = level + (now - since) * per_minute, now end
  end
  level = math.min(full, math.min(full, level) + units * MINUTE)
  redis.call('HSET', key, 'l', string.format('%.0f', level), 'a', string.format('%.0f', since))
  if per_minute > 0 then
    redis.call('PEXPIRE', key, math.ceil((full - level) / per_minute / 1000) + 1000)
  end
  reply[#reply + 1] = math.max(level, -9000000000000000000)
end
return reply
