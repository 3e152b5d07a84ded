"""Profiles: which plugins take part, in which order and weight; what cannot be, and what a cluster is told of
it."""

from typing import Any

import pytest

from builders import a_cluster, a_node, a_pod
from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, POD
from nestling.api.scheduler_configuration import ConfigurationError, read_configuration
from nestling.machinery.records.base import condition
from nestling.scheduler.configuration import Setup
from nestling.scheduler.plugins.registry import in_tree
from nestling.scheduler.profiles import ProfileError, ProfileSpec, build, default_profile
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

HEAD: JsonObject = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}
SMALL = a_node("n1", cpu="2")


def built(plugins: JsonObject, *, config: list[JsonObject] | None = None) -> Any:
    profile = {"schedulerName": "mine", "plugins": plugins, "pluginConfig": config or []}
    found = read_configuration({**HEAD, "profiles": [profile]})
    return build(ProfileSpec.of_file(found.profiles[0], "profiles[0]"), in_tree())


def filters(profile: Any) -> list[str]:
    return [plugin.name for plugin in profile.filters]


def scores(profile: Any) -> dict[str, int]:
    return {one.plugin.name: one.weight for one in profile.scores}


DEFAULT = default_profile()


@pytest.mark.parametrize(
    ("plugins", "wanted"),
    [
        pytest.param({}, filters(DEFAULT), id="nothing said: the default ones"),
        pytest.param(
            {"multiPoint": {"disabled": [{"name": "NodePorts"}]}},
            [name for name in filters(DEFAULT) if name != "NodePorts"],
            id="one disabled everywhere",
        ),
        pytest.param(
            {"filter": {"disabled": [{"name": "NodePorts"}]}},
            [name for name in filters(DEFAULT) if name != "NodePorts"],
            id="one disabled at the point",
        ),
        pytest.param(
            {"filter": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeName"}]}},
            ["NodeName"],
            id="all disabled at the point but one",
        ),
        pytest.param(
            {"filter": {"enabled": [{"name": "NodeResourcesFit"}]}},
            ["NodeResourcesFit", *(name for name in filters(DEFAULT) if name != "NodeResourcesFit")],
            id="named at the point: it comes first",
        ),
        pytest.param(
            {
                "multiPoint": {
                    "disabled": [{"name": "*"}],
                    "enabled": [{"name": "PrioritySort"}, {"name": "DefaultBinder"}, {"name": "NodeName"}],
                }
            },
            ["NodeName"],
            id="only what is listed",
        ),
        pytest.param(
            {"multiPoint": {"enabled": [{"name": "VolumeZone"}]}}, filters(DEFAULT), id="not here: no effect"
        ),
    ],
)
def test_filters_of_a_profile(plugins: JsonObject, wanted: list[str]) -> None:
    assert filters(built(plugins)) == wanted


@pytest.mark.parametrize(
    ("plugins", "weight"),
    [
        pytest.param({}, 3, id="its own"),
        pytest.param(
            {"multiPoint": {"enabled": [{"name": "TaintToleration", "weight": 7}]}}, 7, id="multiPoint"
        ),
        pytest.param({"score": {"enabled": [{"name": "TaintToleration", "weight": 8}]}}, 8, id="the point"),
        pytest.param(
            {
                "multiPoint": {"enabled": [{"name": "TaintToleration", "weight": 7}]},
                "score": {"enabled": [{"name": "TaintToleration", "weight": 8}]},
            },
            8,
            id="the point counts more",
        ),
        pytest.param({"score": {"enabled": [{"name": "TaintToleration"}]}}, 3, id="named without one"),
        pytest.param({"score": {"disabled": [{"name": "TaintToleration"}]}}, None, id="disabled"),
    ],
)
def test_weight_of_a_plugin(plugins: JsonObject, weight: int | None) -> None:
    assert scores(built(plugins)).get("TaintToleration") == weight


def test_preemption_can_be_switched_off_and_has_arguments() -> None:
    assert built({"postFilter": {"disabled": [{"name": "*"}]}}).around.preemption is None
    config = [{"name": "DefaultPreemption", "args": {"minCandidateNodesAbsolute": 5}}]
    args = built({}, config=config).around.preemption
    assert (args.percentage, args.absolute) == (10, 5)


@pytest.mark.parametrize(
    ("plugins", "config", "sentence"),
    [
        pytest.param(
            {"multiPoint": {"enabled": [{"name": "Nope"}]}},
            [],
            "profiles[0].plugins.multiPoint: there is no plugin 'Nope': enable one of DefaultBinder",
            id="unknown",
        ),
        pytest.param(
            {"score": {"disabled": [{"name": "Nope"}]}},
            [],
            "profiles[0].plugins.score: there is no plugin 'Nope' to disable: drop the entry",
            id="unknown, disabled",
        ),
        pytest.param(
            {"score": {"enabled": [{"name": "NodeName"}]}},
            [],
            "profiles[0].plugins.score: plugin 'NodeName' does not take part there: drop the entry",
            id="at a point that it does not have",
        ),
        pytest.param(
            {"queueSort": {"disabled": [{"name": "*"}]}},
            [],
            "profiles[0]: 0 plugins say which pod comes first: enable exactly one, PrioritySort by default",
            id="no order",
        ),
        pytest.param(
            {"bind": {"disabled": [{"name": "*"}]}},
            [],
            "profiles[0]: nobody binds pods: leave DefaultBinder enabled",
            id="no binder",
        ),
        pytest.param(
            {},
            [{"name": "DefaultPreemption", "args": {"minCandidateNodesPercentage": 101}}],
            "profiles[0].pluginConfig[DefaultPreemption].args: minCandidateNodesPercentage is 101, "
            "which is not within 0 to 100",
            id="arguments out of range",
        ),
        pytest.param(
            {},
            [{"name": "DefaultPreemption", "args": {"speed": 1}}],
            "profiles[0].pluginConfig[DefaultPreemption].args: it has no argument 'speed'; there are",
            id="arguments misspelt",
        ),
        pytest.param(
            {},
            [{"name": "Nope"}],
            "profiles[0].pluginConfig: there is no plugin 'Nope' to configure",
            id="for nobody",
        ),
    ],
)
def test_a_profile_that_cannot_be_gets_a_sentence(
    plugins: JsonObject, config: list[JsonObject], sentence: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        built(plugins, config=config)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(
            {"kind": "X"},
            "apiVersion: is missing; kind: must be 'KubeSchedulerConfiguration', not 'X'",
            id="kind",
        ),
        pytest.param(
            {**HEAD, "profile": []}, "profile: there is no such field: see how it is spelled", id="misspelt"
        ),
        pytest.param(
            {**HEAD, "profiles": [{}, {}]},
            "profiles[1].schedulerName: there is a profile 'default-scheduler' already, at profiles[0]: "
            "give each profile a name of its own",
            id="two of one name",
        ),
        pytest.param(
            {
                **HEAD,
                "profiles": [{"plugins": {"score": {"enabled": [{"name": "NodeAffinity", "weight": -1}]}}}],
            },
            "profiles[0].plugins.score.enabled[0].weight: input should be greater than or equal to 0",
            id="a weight that cannot be",
        ),
        pytest.param(
            {**HEAD, "percentageOfNodesToScore": 101},
            "percentageOfNodesToScore: input should be less than or equal to 100",
            id="more than all nodes",
        ),
        pytest.param(
            {**HEAD, "podInitialBackoffSeconds": 5, "podMaxBackoffSeconds": 4},
            "podMaxBackoffSeconds: 4 is less than podInitialBackoffSeconds (5): it must be at least that",
            id="back-off",
        ),
        pytest.param(
            {**HEAD, "extenders": [{"urlPrefix": "http://a", "prioritizeVerb": "p"}]},
            "extenders[0].weight: must be at least 1 for an extender with a prioritizeVerb",
            id="an extender without weight",
        ),
        pytest.param(
            {
                **HEAD,
                "extenders": [
                    {"urlPrefix": "http://a", "bindVerb": "b"},
                    {"urlPrefix": "http://b", "bindVerb": "b"},
                ],
            },
            "extenders[1].bindVerb: only one can bind, and extenders[0] does already",
            id="two that bind",
        ),
        pytest.param(
            {**HEAD, "extenders": [{"urlPrefix": "http://a", "httpTimeout": "soon"}]},
            "extenders[0].httpTimeout: 'soon' is no duration such as 5s or 500ms",
            id="no duration",
        ),
        pytest.param(
            {**HEAD, "extenders": [{"urlPrefix": "http://a", "managedResources": [{"name": "cpu"}]}]},
            "extenders[0].managedResources[0].name: 'cpu' is no extended resource, which has "
            "a domain of its own, such as example.com/gpu",
            id="no extended resource",
        ),
        pytest.param(
            {
                **HEAD,
                "profiles": [
                    {},
                    {"schedulerName": "b", "plugins": {"queueSort": {"enabled": [{"name": "X"}]}}},
                ],
            },
            "profiles[1].plugins.queueSort: must be the same for all profiles, which share one queue",
            id="two orders",
        ),
    ],
)
def test_a_configuration_that_cannot_be_gets_a_sentence(document: JsonObject, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(document)
    assert str(caught.value) == sentence


def test_a_configuration_of_kube_scheduler_is_taken_as_it_is() -> None:
    found = read_configuration(
        {
            **HEAD,
            "parallelism": 16,
            "leaderElection": {"leaderElect": True},
            "clientConnection": {"kubeconfig": "/etc/kubernetes/scheduler.conf", "qps": 50},
            "percentageOfNodesToScore": 50,
            "profiles": [
                {"schedulerName": "default-scheduler", "percentageOfNodesToScore": 30},
                {"schedulerName": "packer", "pluginConfig": [{"name": "DefaultPreemption", "args": {
                    "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "DefaultPreemptionArgs",
                    "minCandidateNodesPercentage": 20,
                }}]},
            ],
            "extenders": [
                {
                    "urlPrefix": "https://extender:8443/x", "filterVerb": "filter", "enableHTTPS": True,
                    "httpTimeout": "1m30s", "nodeCacheCapable": True, "ignorable": True,
                    "managedResources": [{"name": "example.com/gpu"}],
                }
            ],
            "podInitialBackoffSeconds": 2,
            "podMaxBackoffSeconds": 20,
        }
    )  # fmt: skip
    setup = Setup.of(found)
    assert list(setup.profiles) == ["default-scheduler", "packer"]
    assert (setup.backoff.first_s, setup.backoff.longest_s) == (2.0, 20.0)
    (extender,) = setup.extenders
    assert (extender.timeout_s, extender.knows_nodes, extender.ignorable) == (90.0, True, True)
    assert extender.tls is not None
    assert extender.tls.insecure  # as kube-scheduler has it: HTTPS without an authority checks nothing


# -- in a cluster --


def wants(name: str, scheduler: str = "default-scheduler", **options: Any) -> JsonObject:
    spec = {"containers": [requests(cpu="1")], "schedulerName": scheduler, **options.pop("spec", {})}
    return a_pod(name, spec=spec, phase="", status={"conditions": []}, **options)


def profile(name: str = "mine", **more: Any) -> JsonObject:
    return {"schedulerName": name, **more}


def accepted(host: Host) -> tuple[str, str, str] | None:
    found = condition(
        next(obj for (kind, _), obj in host.objects.items() if kind == CLUSTER.plural),
        "SchedulerProfilesAccepted",
    )
    return (found["status"], found["reason"], found["message"]) if found is not None else None


def test_pods_are_placed_by_the_profile_that_they_name() -> None:
    tainted = a_node("n1", cpu="2", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]})
    brave = profile("brave", disabled=["TaintToleration"])
    host = Host(tainted, a_cluster({"schedulerProfiles": [brave]}), wants("shy"), wants("bold", "brave"))
    host.run()
    assert (host.node_of("shy"), host.node_of("bold")) == ("", "n1")
    assert accepted(host) == ("True", "Accepted", "pods are placed as the profiles say")
    assert {(event.key.name, event.component) for event in host.events if event.key.name != "cluster"} == {
        ("shy", "default-scheduler"),
        ("bold", "brave"),
    }


def test_pods_of_all_profiles_share_the_nodes_and_the_order() -> None:
    cluster = a_cluster({"schedulerProfiles": [profile()]})
    pods = [
        wants("a", spec={"priority": 1}),
        wants("b", "mine", spec={"priority": 3}),
        wants("c", spec={"priority": 2}),
    ]
    host = Host(a_node("n1", cpu="2"), cluster, *pods)
    host.run()
    assert [host.node_of(name) for name in "abc"] == ["", "n1", "n1"]


def test_a_pod_that_names_nobody_waits_until_somebody_of_that_name_comes() -> None:
    host = Host(SMALL, wants("web-0", "later"))
    assert host.run() == 0
    host.put(a_cluster({"schedulerProfiles": [profile("later")]}))
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_profile_that_goes_leaves_its_pods_waiting() -> None:
    host = Host(a_node("n1", cpu="0"), a_cluster({"schedulerProfiles": [profile()]}), wants("web-0", "mine"))
    host.run()
    host.put(a_cluster({}))
    host.put(SMALL)
    host.clock.advance(400)
    host.run()
    assert host.node_of("web-0") == ""


def test_the_last_good_profile_stays_in_force_and_the_cluster_is_told() -> None:
    good = profile(disabled=["NodeUnschedulable"])
    cordoned = a_node("n1", cpu="2", spec={"unschedulable": True})
    host = Host(cordoned, a_cluster({"schedulerProfiles": [good]}))
    host.run()
    host.edit(CLUSTER, "cluster", {"spec": {"schedulerProfiles": [profile(enabled=[{"name": "Nope"}])]}})
    host.put(wants("web-0", "mine"))
    host.run()
    assert host.node_of("web-0") == "n1"
    found = accepted(host)
    assert found is not None
    assert found[:2] == ("False", "InvalidProfile")
    assert found[2].startswith("spec.schedulerProfiles[mine]: there is no plugin 'Nope': enable one of ")
    assert found[2].endswith("; until then the last good profiles stay in force")
    told = [event for event in host.events if event.reason == "InvalidProfile"]
    assert [(event.type, event.kind) for event in told] == [("Warning", CLUSTER)]
    assert host.run() == 0
    host.edit(CLUSTER, "cluster", {"spec": {"schedulerProfiles": [profile()]}})
    host.run()
    assert accepted(host) == ("True", "Accepted", "pods are placed as the profiles say")


def test_a_cluster_without_profiles_is_told_nothing() -> None:
    assert Host(SMALL, a_cluster({})).run() == 0


def test_a_changed_profile_tries_its_pods_anew() -> None:
    host = Host(a_node("n1", spec={"unschedulable": True}), a_cluster({}), wants("web-0"))
    host.run()
    host.edit(
        CLUSTER,
        "cluster",
        {"spec": {"schedulerProfiles": [profile("default-scheduler", disabled=["NodeUnschedulable"])]}},
    )
    host.run()
    assert host.node_of("web-0") == "n1"


def test_the_back_off_of_a_cluster_is_its_own() -> None:
    cluster = a_cluster({"schedulerBackoff": {"initialSeconds": 3, "maxSeconds": 30}})
    host = Host(cluster, SMALL, wants("web-0"))
    assert host.machine.lanes()[0].state.queue.backoff.after(4) == 24.0
    host.delete(CLUSTER, "cluster")
    assert host.machine.lanes()[0].state.queue.backoff.after(5) == 10.0
    assert host.pod("web-0")["metadata"]["name"] == POD.native.lower().replace("pod", "web-0")
