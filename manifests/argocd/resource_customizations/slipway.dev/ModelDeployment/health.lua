-- Health of a ModelDeployment, from its conditions (kstatus: Ready, Reconciling, Stalled).
local hs = { status = "Progressing", message = "Waiting for the operator" }
local status = obj.status
if status == nil or status.conditions == nil then
  return hs
end
-- A status of an older spec says nothing about this one.
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Waiting for the operator to see generation " .. tostring(obj.metadata.generation)
  return hs
end
local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local ready = conditions["Ready"]
if ready == nil then
  return hs
end
hs.message = ready.reason .. ": " .. (ready.message or "")
-- Suspended: somebody wanted it so (no replicas, a pause), or a person has to let the next step begin.
if ready.reason == "NoReplicas" or ready.reason == "RolloutPaused" or ready.reason == "WaitingForApproval" then
  hs.status = "Suspended"
-- A held candidate is Degraded although the stable revision serves: what Git asks for is not what runs.
elseif conditions["Stalled"] ~= nil and conditions["Stalled"].status == "True" then
  hs.status = "Degraded"
elseif ready.status == "True" then
  hs.status = "Healthy"
end
return hs
