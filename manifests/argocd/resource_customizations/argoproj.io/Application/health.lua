-- Health of an Application, as an application of applications needs it to wait for a sync wave. Argo CD's own documentation has
-- the same; leave it out where argocd-cm has one already.
local hs = { status = "Progressing", message = "" }
if obj.status ~= nil and obj.status.health ~= nil then
  hs.status = obj.status.health.status
  if obj.status.health.message ~= nil then
    hs.message = obj.status.health.message
  end
end
return hs
