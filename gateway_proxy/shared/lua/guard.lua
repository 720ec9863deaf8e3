-- Stands before every script. KEYS: 1 epoch. ARGV: 1 epoch id, 2 the part's field, 3 its connection, 4 now in µs ('' = the
-- server's clock). Answers -1 and does nothing under another epoch, and to what an earlier connection left behind.
local guard = redis.call('HMGET', KEYS[1], 'id', ARGV[2])
if guard[1] ~= ARGV[1] or guard[2] ~= ARGV[3] then return {-1} end
local number = redis.call('HINCRBY', KEYS[1], 'n', 1)
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local now_ms = math.floor(now / 1000)
