-- Lets all steps that are left pass. A failed gate still takes the candidate back.
local about = obj.status.candidate
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["slipway.dev/rollout"] = '{"action": "promote", "revision": "' .. about.revision
  .. '", "since": "' .. about.since .. '", "by": "Argo CD"' .. '}'
return obj
