-- Ends a lease, or a part of it. Repeating it changes nothing (but for the correction of a bucket).
-- KEYS: 1 epoch, 2 entries of the root key, then budgets, then slots, then token buckets.
-- ARGV: 5 name of the lease, 6 nano-USD charged ('' = money stays as it is), 7 time of admission (ms),
--   8 units to put back into each bucket ("180,-3"; negative: take), 9 level of each bucket that the server does not hold
--   ('-' = full; '' = all full), 10 how many budgets, 11 how many slots, then for each budget its key id and a label to
--   tell of, then for each bucket: units a minute, capacity.
-- Returns 1, number, now (ms), then for each budget what is spent and reserved under its label ('' = not counted).
local MINUTE = 60000000
local call, match, tonumber = redis.call, string.match, tonumber
local name, charge, budgets, slots = ARGV[5], ARGV[6], tonumber(ARGV[10]), tonumber(ARGV[11])
local reply = {1, number, now_ms}

-- What a field is after the change: a number in Lua is exact up to 2^53.
local function change(key, field, by)
  local value = call('HINCRBY', key, field, by)
  if value < 9007199254740992 and value > -9007199254740992 then return string.format('%.0f', value) end
  return call('HGET', key, field)
end

if charge ~= '' then
  local admitted, state, held = ARGV[7], '-', ''
  local entry = call('HGET', KEYS[2], name)
  if entry then admitted, state, held = match(entry, '^(%d+);([^;]*);(.*)$') end
  local amounts, at = {}, tonumber(admitted)
  for key_id, amount in string.gmatch(held, '([^=,]+)=(%d+)') do
    amounts[key_id] = amounts[key_id] or {}
    table.insert(amounts[key_id], amount)
  end
  for i = 1, budgets do
    local key, key_id, told = KEYS[2 + i], ARGV[10 + 2 * i], ARGV[11 + 2 * i]
    local taken, spent, reserved = amounts[key_id], nil, nil
    if not taken then held = held .. (held == '' and '' or ',') .. key_id .. '=0' end
    local flat = call('HGETALL', key)
    for j = 1, #flat, 2 do
      local field, value = flat[j], flat[j + 1]
      if field == told .. '|s' then
        spent = spent or value
      elseif field == told .. '|r' then
        reserved = reserved or value
      elseif state == '-' then
        local label = match(field, '^(.*)|w$')
        local from, to = match(value, '^(%d+):(%d+)$')
        if label and at >= tonumber(from) and at < tonumber(to) then
          local left
          for _, amount in ipairs(taken or {}) do
            if amount ~= '0' then left = change(key, label .. '|r', '-' .. amount) end
          end
          local sum = change(key, label .. '|s', charge)
          if label == told then spent, reserved = sum, left or reserved end
        end
      end
    end
    reply[#reply + 1] = spent or ''
    reply[#reply + 1] = reserved or ''
  end
  -- It stays until its row is in the ledger: what is summed up there leaves out those that stand here.
  if state == '-' then call('HSET', KEYS[2], name, admitted .. ';' .. charge .. ';' .. held) end
end
for i = 1, slots do call('HDEL', KEYS[2 + budgets + i], name) end
local first, base = 2 + budgets + slots, 11 + 2 * budgets
local levels = {}
for level in string.gmatch(ARGV[9], '[^,]+') do levels[#levels + 1] = level end
local i = 0
for units in string.gmatch(ARGV[8], '[^,]+') do
  i = i + 1
  local key, per_minute = KEYS[first + i], tonumber(ARGV[base + 2 * i - 1])
  local full = tonumber(ARGV[base + 2 * i]) * MINUTE
  local level, since = tonumber(levels[i]) or full, now
  local row = call('GET', key)
  if row then
    level, since = match(row, '^(%S+) (%S+)$')
    level, since = tonumber(level), tonumber(since)
    if now > since then level, since = level + (now - since) * per_minute, now end
  end
  level = math.min(full, math.min(full, level) + units * MINUTE)
  local text = string.format('%.0f %.0f', level, since)
  if per_minute > 0 then
    call('SET', key, text, 'PX', math.ceil((full - level) / per_minute / 1000) + 1000)
  else
    call('SET', key, text)
  end
  reply[#reply + 1] = math.max(level, -9000000000000000000)
end
return reply
