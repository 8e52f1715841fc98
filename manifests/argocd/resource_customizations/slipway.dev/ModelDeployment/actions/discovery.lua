-- What can be done to the roll-out of a ModelDeployment now. Argo CD shows the others greyed out. (It gives scripts no string library.)
local status = obj.status or {}
local none = status.candidate == nil
local paused = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" and condition.reason == "RolloutPaused" then
    paused = not none
  end
end
return {
  ["promote"] = { disabled = none },
  ["promote-full"] = { disabled = none },
  ["abort"] = { disabled = none },
  ["pause"] = { disabled = none or paused },
  ["resume"] = { disabled = not paused },
  ["retry"] = { disabled = status.held == nil },
}
