"""Keep numbered pods: `web-0`, `web-1`, ..., each with a name, a host name and claims that outlive it.

`look` sorts what there is by ordinal, `scaling` says which pods come and go, `rolling` which make room for a
new revision, `creation` what a pod looks like, `status` what is reported. `reconcile` plays them in order.
Source: Kubernetes 1.37, pkg/controller/statefulset.
"""
