-- Takes the candidate back; it is held.
local about = obj.status.candidate
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["slipway.dev/rollout"] = '{"action": "abort", "revision": "' .. about.revision
  .. '", "since": "' .. about.since .. '", "by": "Argo CD"' .. '}'
return obj
