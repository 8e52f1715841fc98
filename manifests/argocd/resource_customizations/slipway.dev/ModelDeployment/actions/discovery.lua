-- What can be done to the roll-out of a ModelDeployment now. Argo CD shows the others greyed out.
local status = obj.status or {}
local candidate = status.candidate
local held = status.held
local annotations = obj.metadata.annotations or {}
local order = annotations["slipway.dev/rollout"] or ""
local none = candidate == nil
local paused = not none and string.find(order, '"action": "pause"', 1, true) ~= nil
  and string.find(order, candidate.revision, 1, true) ~= nil
return {
  ["promote"] = { disabled = none },
  ["promote-full"] = { disabled = none },
  ["abort"] = { disabled = none },
  ["pause"] = { disabled = none or paused },
  ["resume"] = { disabled = not paused },
  ["retry"] = { disabled = held == nil },
}
