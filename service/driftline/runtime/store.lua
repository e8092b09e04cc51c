-- Every key Driftline keeps in Redis, and every script that writes one. `prefix` is the setting `redis.prefix`.
--
-- A slot (one stage's record of one input partition); one hash tag, so a slot lives on one node:
--   {prefix:stage:partition}:meta        hash    owner       token of whoever acquired it last
--                                                next        offset it stands at; absent until the first commit
--                                                batch       id of the write applied last
--                                                generation  times acquired, for people to look at
--   {prefix:stage:partition}:fields      hash    name -> state bytes
--   {prefix:stage:partition}:outbox      string  outbox of the last write
--   {prefix:stage:partition}:quarantine  list    name, NUL, unreadable bytes; newest first, bounded
--
-- The join memory, in 64 shards by crc32(key) mod 64; one hash tag a shard:
--   {prefix:join:shard}:days             zset    live days, scored by themselves
--   {prefix:join:shard}:counts           hash    P<day>, O<day>          predictions, outcomes of that day that wait
--                                                joined                  pairs ever made
--                                                expired:P, expired:O    let go while they waited
--   {prefix:join:shard}:<day>            hash    key -> entry, under the day on which the first half was written
--
-- An entry is a half that waits or a pair. Origins are 8 bytes, big-endian.
--   waits     side ("P" or "O"), origin, payload
--             a half that is published (modes 1 and 2) takes the place of another of its side
--   a pair    emitter's side in lower case, emitter's origin, then the partner's waiting entry,
--             or nothing while the partner is unknown (a published range was read again before its other half)
-- The emitter's payload is not kept: only the emitter is ever answered with a payload, its partner's.
--
-- Each script begins at its `#!lua` line, so that a server that is out of memory refuses it before it starts.
-- Keys are never built here: KEYS holds all of them.

-- script: acquire
#!lua
-- KEYS meta, fields, outbox; ARGV token. Returns next, fields (name, value, ...), outbox.
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'generation', 1)
return {redis.call('HGET', KEYS[1], 'next'), redis.call('HGETALL', KEYS[2]), redis.call('GET', KEYS[3])}

-- script: read
#!lua flags=no-writes
-- KEYS meta, fields, outbox. Returns next, fields (name, value, ...), outbox.
return {redis.call('HGET', KEYS[1], 'next'), redis.call('HGETALL', KEYS[2]), redis.call('GET', KEYS[3])}

-- script: commit
#!lua
-- KEYS meta, fields, outbox; ARGV token, batch, begin ('' if none), after ('' if any), next, outbox, number of
-- deletions, names to delete, then name, value, ... to set. Returns a value of `store.Verdict`.
local stored = redis.call('HMGET', KEYS[1], 'owner', 'batch', 'next')
if not stored[1] then return 'lost' end
if stored[2] == ARGV[2] then return 'repeated' end
if stored[1] ~= ARGV[1] then return 'fenced' end
if (stored[3] or '') ~= ARGV[3] then return 'moved' end
if ARGV[4] ~= '' and stored[2] ~= ARGV[4] then return 'moved' end
local first = 8 + tonumber(ARGV[7])
for i = 8, first - 1 do redis.call('HDEL', KEYS[2], ARGV[i]) end
for i = first, #ARGV, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, i, math.min(i + 999, #ARGV)))
end
if ARGV[6] == '' then redis.call('UNLINK', KEYS[3]) else redis.call('SET', KEYS[3], ARGV[6]) end
redis.call('HSET', KEYS[1], 'next', ARGV[5], 'batch', ARGV[2])
return 'applied'

-- script: quarantine
#!lua
-- KEYS quarantine; ARGV entry, bound.
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)

-- script: join
#!lua
-- KEYS days, counts, hash of the day to write, then the hash of every live day, newest first.
-- ARGV that day; the live days as the caller believes them ('3,2,1'); one digit of `store.JoinMode` for each half,
-- or '' if all are fresh; the keys; then the halves as they would wait.
-- Returns '' and the live days if the caller is wrong about them (nothing is written then), else one letter
-- for each half (n, p, s, d: `store.Met`) followed by the payloads that the paired ones met.
local days = redis.call('ZRANGE', KEYS[1], 0, -1, 'REV')
if table.concat(days, ',') ~= ARGV[2] then
  table.insert(days, 1, '')
  return days
end

local n = (#ARGV - 3) / 2
local entries, homes = {}, {}
local keys -- still to be found; nil stands for all of them, so that a day without a hit costs no table
for d = 1, #days do
  local values
  if keys then
    values = redis.call('HMGET', KEYS[3 + d], unpack(keys))
  else
    values = redis.call('HMGET', KEYS[3 + d], unpack(ARGV, 4, 3 + n))
  end
  local hit = false
  for i = 1, #values do
    local value = values[i]
    if value then
      local key = keys and keys[i] or ARGV[3 + i]
      entries[key], homes[key], hit = value, d, true
    end
  end
  if hit then
    local missing = {}
    for i = 1, #values do
      if not values[i] then missing[#missing + 1] = keys and keys[i] or ARGV[3 + i] end
    end
    if #missing == 0 then break end
    keys = missing
  end
end

local byte, sub = string.byte, string.sub
local modes, fresh, emitted = ARGV[3], string.byte('0'), string.byte('2')
local answers, others, counts = {}, {}, {}
local changed, listed = {}, {}

local function put(key, entry)
  entries[key] = entry
  if not listed[key] then
    listed[key] = true
    changed[#changed + 1] = key
  end
end

local function count(field, by)
  counts[field] = (counts[field] or 0) + by
end

local function waiting(side, home)
  return string.char(side) .. (days[home] or ARGV[1])
end

for i = 1, n do
  local key, half = ARGV[3 + i], ARGV[3 + n + i]
  local side, entry = byte(half), entries[key]
  local kind = entry and byte(entry)
  local mode = modes == '' and fresh or byte(modes, i)
  local answer
  if not entry or kind == side then
    if mode == emitted then
      if entry then count(waiting(side, homes[key]), -1) end
      count('joined', 1)
      put(key, string.char(side + 32) .. sub(half, 2, 9))
      answer, others[#others + 1] = 'p', ''
    elseif not entry then
      count(waiting(side, 0), 1)
      put(key, half)
      answer = 'n'
    elseif sub(entry, 2, 9) == sub(half, 2, 9) then
      answer = 'n'
    elseif mode ~= fresh then
      put(key, half)
      answer = 'n'
    else
      answer = 'd'
    end
  elseif kind < 97 then
    count(waiting(kind, homes[key]), -1)
    count('joined', 1)
    put(key, string.char(side + 32) .. sub(half, 2, 9) .. entry)
    answer, others[#others + 1] = 'p', sub(entry, 10)
  elseif kind == side + 32 then
    if sub(entry, 2, 9) == sub(half, 2, 9) then
      answer, others[#others + 1] = 'p', sub(entry, 19)
    elseif mode ~= fresh and #entry > 9 then
      put(key, string.char(side + 32) .. sub(half, 2, 9) .. sub(entry, 10))
      answer, others[#others + 1] = 'p', sub(entry, 19)
    else
      answer = 'd'
    end
  elseif #entry == 9 then
    put(key, entry .. half)
    answer = 's'
  elseif mode == emitted then
    put(key, string.char(side + 32) .. sub(half, 2, 9) .. string.char(kind - 32) .. sub(entry, 2, 9))
    answer, others[#others + 1] = 'p', ''
  elseif sub(entry, 11, 18) == sub(half, 2, 9) then
    answer = 's'
  elseif mode ~= fresh then
    put(key, sub(entry, 1, 9) .. half)
    answer = 's'
  else
    answer = 'd'
  end
  answers[i] = answer
end

local writes = {}
for i = 1, #changed do
  local key = changed[i]
  local home = homes[key] or 0
  local write = writes[home]
  if not write then
    write = {}
    writes[home] = write
  end
  write[#write + 1] = key
  write[#write + 1] = entries[key]
end
for home, write in pairs(writes) do redis.call('HSET', KEYS[3 + home], unpack(write)) end
if writes[0] then redis.call('ZADD', KEYS[1], ARGV[1], ARGV[1]) end
for field, by in pairs(counts) do
  if by ~= 0 then redis.call('HINCRBY', KEYS[2], field, by) end
end
table.insert(others, 1, table.concat(answers))
return others

-- script: expire
#!lua flags=allow-oom
-- KEYS days, counts, then the hashes of the days to let go; ARGV those days.
for i = 1, #ARGV do
  if redis.call('ZREM', KEYS[1], ARGV[i]) == 1 then
    for _, side in ipairs({'P', 'O'}) do
      local pending = redis.call('HGET', KEYS[2], side .. ARGV[i])
      if pending then
        redis.call('HINCRBY', KEYS[2], 'expired:' .. side, pending)
        redis.call('HDEL', KEYS[2], side .. ARGV[i])
      end
    end
    redis.call('UNLINK', KEYS[2 + i])
  end
end

-- script: reset_join
#!lua flags=allow-oom
-- KEYS days, counts, then the hash of every live day; ARGV the live days as the caller believes them.
-- Returns 1, or 0 if the caller is wrong about them.
if table.concat(redis.call('ZRANGE', KEYS[1], 0, -1, 'REV'), ',') ~= ARGV[1] then return 0 end
redis.call('UNLINK', unpack(KEYS))
return 1
