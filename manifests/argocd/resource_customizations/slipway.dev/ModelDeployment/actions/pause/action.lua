-- Begins no further step.
local about = obj.status.candidate
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["slipway.dev/rollout"] = '{"action": "pause", "revision": "' .. about.revision
  .. '", "since": "' .. about.since .. '", "by": "Argo CD"' .. '}'
return obj
