-- Tries the version that is held again.
local about = obj.status.held
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["slipway.dev/rollout"] = '{"action": "retry", "revision": "' .. about.revision
  .. '", "since": "' .. about.since .. '", "by": "Argo CD"' .. '}'
return obj
