"""Find or start a host cluster for development.

`hosts` is the way in: `up`, `down`, `status` by name. One module per kind of host (`embedded`, `local`,
`kind`, `current`) does what `record.Provider` asks; `binaries` finds or builds the programs of a local host.
Below them lie `folder` (state and data on disk), `launch` and `process` (children that outlive us), `pki` and
`kubeconfig`.
"""
