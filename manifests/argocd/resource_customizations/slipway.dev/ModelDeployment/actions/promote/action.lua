-- Lets the next step begin now. The first one is 0; before it, status.candidate.step is absent.
local about = obj.status.candidate
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["slipway.dev/rollout"] = '{"action": "promote", "revision": "' .. about.revision
  .. '", "since": "' .. about.since .. '", "by": "Argo CD"' .. ', "step": ' .. tostring(about.step ~= nil and about.step + 1 or 0) .. '}'
return obj
