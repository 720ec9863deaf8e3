-- Takes all claims of an exchange or none; with mode 'look' only tells how they stand.
-- KEYS: 1 epoch, 2 entries of the root key, then the counter of each claim.
-- ARGV: 5 name of the lease, 6 take | look, 7 parts known to be dead (",a,b," or ''), 8 amount of each claim ("1,300"),
--   9 level that each bucket has which the server does not hold ("-" = full; '' = all full), then for each claim, in the
--   order in which refusals rank: kind, limit or units a minute, capacity or label, 'start:end' in ms, key id.
-- Returns verdict, number, now (ms), which claim (from 1), then a state for each claim as it was before.
--   verdict: 1 granted, 0 refused, 2 budget not loaded, 3 another budget period.
local MINUTE = 60000000 -- a bucket's level is kept in units × µs of a minute, as limits/arithmetic.py does in ns
local call, match, tonumber = redis.call, string.match, tonumber
local name, look, dead = ARGV[5], ARGV[6] == 'look', ARGV[7]

local function list(text)
  local parts = {}
  for part in string.gmatch(text, '[^,]+') do parts[#parts + 1] = part end
  return parts
end

-- A number in Lua is exact up to 2^53, money goes up to 2^63: whole USD and the rest apart.
local function split(text)
  local length = #text
  if length <= 9 then return 0, tonumber(text) end
  return tonumber(string.sub(text, 1, length - 9)), tonumber(string.sub(text, length - 8))
end

local function is_within(limit, state, amount)
  local spent, reserved, taken = state.spent, state.reserved, state.amounts
  if #taken == 0 and #limit < 16 and #spent < 16 and #reserved < 16 and #amount < 16 then
    return spent + reserved + amount <= tonumber(limit)
  end
  local most, most_rest = split(limit)
  local usd, rest = 0, 0
  for _, text in ipairs({spent, reserved, amount, unpack(taken)}) do
    local whole, part = split(text)
    usd, rest = usd + whole, rest + part
  end
  usd, rest = usd + math.floor(rest / 1000000000), rest % 1000000000
  return usd < most or (usd == most and rest <= most_rest)
end

local function read_bucket(key, per_minute, capacity, seed)
  local row = call('GET', key)
  local full, level, at = capacity * MINUTE, nil, now
  if row then
    level, at = match(row, '^(%S+) (%S+)$')
    level, at = tonumber(level), tonumber(at)
    if now > at then level, at = level + (now - at) * per_minute, now end
  else
    level = tonumber(seed) or full
  end
  if level > full then level = full end
  return {before = level, level = level, at = at, full = full, per_minute = per_minute}
end

local function read_slots(key, limit)
  local used = call('HLEN', key)
  if dead ~= '' and used >= limit then
    for _, holder in ipairs(call('HKEYS', key)) do
      local part = match(holder, '^[^~]*')
      if string.find(dead, ',' .. part .. ',', 1, true) then used = used - call('HDEL', key, holder) end
    end
  end
  return {before = used, used = used, slots = true}
end

local function read_budget(key, label, span)
  local flat = call('HGETALL', key)
  local row = {}
  for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end
  local state = {row = row, amounts = {}, money = true}
  local from, to = match(span, '^(%d+):(%d+)$')
  if now_ms < tonumber(from) or now_ms >= tonumber(to) then
    state.verdict = 3
  elseif row[label .. '|t'] then
    state.verdict = 2
  elseif not row[label .. '|s'] then
    -- A period that has begun while the one before was counted starts at 0.
    state.verdict = 2
    for field, value in pairs(row) do
      local other = match(field, '^(.*)|w$')
      if other and not row[other .. '|t'] and match(value, ':(%d+)$') == from then
        state.verdict, state.opens = nil, {label .. '|w', span, label .. '|s', '0', label .. '|r', '0'}
        row[label .. '|w'], row[label .. '|s'], row[label .. '|r'] = span, '0', '0'
        break
      end
    end
  elseif #flat == 6 then
    state.only = label .. '|r' -- no other period is counted
  end
  state.spent, state.reserved = row[label .. '|s'] or '0', row[label .. '|r'] or '0'
  return state
end

local amounts, seeds = list(ARGV[8]), list(ARGV[9])
local states, verdict, which = {}, 1, 0
local count = #amounts
for i = 1, count do
  local key, at = KEYS[2 + i], 4 + 5 * i
  local kind, amount, limit = ARGV[at + 1], amounts[i], ARGV[at + 2]
  local state, fits = states[key], true
  if kind == 'q' then
    local per_minute = tonumber(limit)
    if not state then state = read_bucket(key, per_minute, tonumber(ARGV[at + 3]), seeds[i]) end
    local left = state.level - amount * MINUTE
    fits = left >= 0 and per_minute > 0
    if fits then state.level = left end
  elseif kind == 'p' then
    limit = tonumber(limit)
    if not state then state = read_slots(key, limit) end
    fits = state.used + 1 <= limit
    if fits then state.used = state.used + 1 end
  else
    if not state then state = read_budget(key, ARGV[at + 3], ARGV[at + 4]) end
    if state.verdict then
      if verdict == 1 then verdict, which = state.verdict, i end
    else
      fits = amount == '0' or is_within(limit, state, amount)
      state.amounts[#state.amounts + 1] = amount
    end
    state.key_id = ARGV[at + 5]
  end
  states[key] = state
  if not fits and verdict == 1 and not look then verdict, which = 0, i end
  if verdict ~= 1 and not look then count = i break end
end
local reply = {verdict, number, now_ms, which}
for i = 1, count do
  local state = states[KEYS[2 + i]]
  if state.money then
    reply[#reply + 1] = state.spent
    reply[#reply + 1] = state.reserved
  elseif state.slots then
    reply[#reply + 1] = state.before
  else
    reply[#reply + 1] = math.min(state.before, 9000000000000000000)
  end
end
if verdict ~= 1 or look then return reply end

local held = {}
for i = 1, count do
  local key = KEYS[2 + i]
  local state = states[key]
  if state and state.money then
    if state.only then
      for _, amount in ipairs(state.amounts) do call('HINCRBY', key, state.only, amount) end
    else
      if state.opens then call('HSET', key, unpack(state.opens)) end
      for field, span in pairs(state.row) do
        local label = match(field, '^(.*)|w$')
        if label then
          local from, to = match(span, '^(%d+):(%d+)$')
          if now_ms >= tonumber(from) and now_ms < tonumber(to) then
            for _, amount in ipairs(state.amounts) do call('HINCRBY', key, label .. '|r', amount) end
          end
        end
      end
    end
    if call('PTTL', key) < 86400000 then call('PEXPIRE', key, 172800000) end
    for _, amount in ipairs(state.amounts) do held[#held + 1] = state.key_id .. '=' .. amount end
  elseif state and state.slots then
    call('HSET', key, name, 1)
    if call('PTTL', key) < 43200000 then call('PEXPIRE', key, 86400000) end
  elseif state then
    call('SET', key, string.format('%.0f %.0f', state.level, state.at),
      'PX', math.ceil((state.full - state.level) / state.per_minute / 1000) + 1000)
  end
  states[key] = nil -- two claims on one counter are written once
end
if #held > 0 then call('HSET', KEYS[2], name, now_ms .. ';-;' .. table.concat(held, ',')) end
return reply
