"""kube-state-metrics for virtual objects: the `kube_*` families that stock dashboards and alerts build on.

At each scrape the cache is walked and every object written out; nothing is remembered between two scrapes, so
series vanish with their object. Names, label names and values are those of kube-state-metrics; in front of
them stands `cluster`, the host namespace, and namespaces, names and owners are the virtual ones.

Served on `/metrics/kube-state` by processes that play the `controllers` role, and filled by its leader alone:
a standby answers with nothing, so that no series comes twice and no target is down. The path is one of its
own because stock dashboards and alerts ask for `job="kube-state-metrics"`: it takes a scrape configuration of
its own, with that job name and with `honor_labels`, since `namespace`, `pod` and `node` are those of the
virtual object and not those of the scraped process.

Source: kube-state-metrics 2.x, docs/metrics and internal/store (names, labels, values).
"""
