"""Container runtimes under the virtual kubelet: the seam in `runtime`, the simulated one in `simulated`."""
