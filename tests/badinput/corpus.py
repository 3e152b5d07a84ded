"""Broken manifests, each with the one sentence that a user gets and the place where it is caught.

All are native manifests as somebody might type or generate them. `convert` catches what is no manifest; the
API server what breaks a rule; a few are only found when something runs, and tell so in a condition or event.
"""

import base64
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Catcher: TypeAlias = Literal["convert", "api", "change", "operator", "nobody"]


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken manifest.

    `sentence` is a regular expression for what is said. `change` is a merge patch that is refused after the
    manifest itself was accepted. Caught by `nobody`: looks broken and is fine, so it must be accepted.
    """

    title: str
    text: str | bytes
    caught: Catcher
    sentence: str
    change: Any = None


def a_pod(body: str = "", *, container: str = "", name: str = "web", metadata: str = "") -> str:
    """A pod with one container; `body` and `container` are more fields, as they stand inside braces."""
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}{metadata}}}\n"
        f"spec: {{containers: [{{name: main, image: x{container}}}]{body}}}\n"
    )


def a_deployment(spec: str = "", *, selector: str = "{matchLabels: {app: web}}", template: str = "") -> str:
    """A Deployment that is right but for `spec` or `selector`."""
    return (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
        f"spec:\n  selector: {selector}\n"
        "  template: {metadata: {labels: {app: web}}, "
        f"spec: {{containers: [{{name: main, image: x}}]{template}}}}}\n"
        f"{spec}"
    )


def a_job(spec: str = "", *, kind: str = "Job", policy: str = "Never") -> str:
    """A Job, or a CronJob with `spec` on its own level."""
    template = f"{{spec: {{restartPolicy: {policy}, containers: [{{name: main, image: x}}]}}}}"
    if kind == "Job":
        return (
            f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: web}}\nspec:\n  template: {template}\n{spec}"
        )
    return (
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web}\n"
        f"spec:\n  jobTemplate: {{spec: {{template: {template}}}}}\n{spec}"
    )


def a_service(spec: str) -> str:
    """A Service with this spec."""
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n"


def request(resource: str, amount: str) -> str:
    """A container's request of one resource."""
    return f', resources: {{requests: {{{resource}: "{amount}"}}}}'


def probe(fields: str) -> str:
    """A container's readiness probe."""
    return f", readinessProbe: {{{fields}}}"


NOT_A_MANIFEST = (
    Broken(
        "bracket not closed", "a: [1\nb: 2\n", "convert", r"bad\.yaml:2:2: not YAML: .*expected ',' or '\]'"
    ),
    Broken(
        "tab as indent",
        "metadata:\n\tname: x\n",
        "convert",
        r"bad\.yaml:2:1: not YAML: .*cannot start any token",
    ),
    Broken("wrong indent", "metadata:\n  name: x\n kind: y\n", "convert", r"bad\.yaml:3:2: not YAML"),
    Broken("quote not closed", 'kind: "Pod\n', "convert", r"bad\.yaml:\d+:\d+: not YAML: .*quoted scalar"),
    Broken(
        "key given twice",
        "kind: Pod\nkind: Job\n",
        "convert",
        r'bad\.yaml:2:1: .*the key "kind" is already set',
    ),
    Broken("alias to nothing", "kind: *pod\n", "convert", r"bad\.yaml:1:7: not YAML: .*alias"),
    Broken(
        "alias to itself", "a: &a [*a]\n", "convert", r"bad\.yaml:1:8: .*refers to the value it is part of"
    ),
    Broken(
        "alias bomb",
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "convert",
        r"bad\.yaml:6:\d+: .*aliases repeat more than 500,000 values",
    ),
    Broken("a thousand brackets", "[" * 1000, "convert", r"bad\.yaml:1:101: .*more than 100 lists and maps"),
    Broken(
        "deep JSON", '{"a":' * 500 + "1" + "}" * 500, "convert", r"more than 100 lists and maps are nested"
    ),
    Broken(
        "foreign tag",
        "kind: !!python/name:os.system ''\n",
        "convert",
        r"bad\.yaml:1:7: .*the tag .* is not known",
    ),
    Broken(
        "not a number",
        "spec: {replicas: .nan}\n",
        "convert",
        r"bad\.yaml:1:18: .*not a number that JSON knows",
    ),
    Broken(
        "not UTF-8",
        b"kind: Pod\nname: \xff\xfe\n",
        "convert",
        r"bad\.yaml:2: not text in UTF-8; save it as UTF-8",
    ),
    Broken("bytes of a picture", b"\x89PNG\r\n\x1a\n\x00\x00", "convert", r"bad\.yaml:1: not text in UTF-8"),
    Broken("zero byte", b"kind: P\x00d\n", "convert", r"bad\.yaml:1:8: .*(character|not allowed)"),
    Broken(
        "only text",
        "hello\n",
        "convert",
        r"bad\.yaml:1: this document is text, not an object; an object begins",
    ),
    Broken(
        "a list of objects",
        "- kind: Pod\n",
        "convert",
        r"bad\.yaml:1: this document is a list, not an object",
    ),
    Broken("a template of a chart", "kind: {{ .Values.kind }}\n", "convert", r"bad\.yaml:1:\d+: not YAML"),
    Broken("key is a map", "{a: b}: c\n", "convert", r"bad\.yaml:1:1: .*cannot be the key of a map"),
    Broken(
        "items is a map",
        "apiVersion: v1\nkind: List\nitems: {a: b}\n",
        "convert",
        r"items of List must be a list",
    ),
    Broken(
        "an item is text",
        "apiVersion: v1\nkind: PodList\nitems: [x]\n",
        "convert",
        r"items\[0\] of PodList is text",
    ),
)

NOT_AN_OBJECT = (
    Broken(
        "no kind",
        "apiVersion: v1\nmetadata: {name: a}\n",
        "convert",
        r"bad\.yaml:1: object a: kind is missing",
    ),
    Broken("no apiVersion", "kind: Pod\nmetadata: {name: a}\n", "convert", r"Pod a: apiVersion is missing"),
    Broken(
        "kind is a number",
        "apiVersion: v1\nkind: 7\nmetadata: {name: a}\n",
        "convert",
        r"kind must be text, not 7",
    ),
    Broken(
        "empty kind",
        'apiVersion: v1\nkind: ""\nmetadata: {name: a}\n',
        "convert",
        r'kind must be text, not ""',
    ),
    Broken("no metadata", "apiVersion: v1\nkind: Pod\n", "convert", r"Pod: metadata is missing"),
    Broken(
        "metadata is a list",
        "apiVersion: v1\nkind: Pod\nmetadata: []\n",
        "convert",
        r"metadata must be an object",
    ),
    Broken(
        "no name", "apiVersion: v1\nkind: Pod\nmetadata: {}\n", "convert", r"Pod: metadata\.name is missing"
    ),
    Broken("name is a number", a_pod(name="123"), "convert", r"metadata\.name must be text, not 123"),
    Broken("name with capitals", a_pod(name="Web"), "convert", r'metadata\.name "Web" is not a name'),
    Broken("name with umlaut", a_pod(name="wéb"), "convert", r'metadata\.name "wéb" is not a name'),
    Broken("name in Greek", a_pod(name="ναός"), "convert", r'metadata\.name "ναός" is not a name'),
    Broken("full-width digits", a_pod(name="web\uff11"), "convert", r"metadata\.name .* is not a name"),
    Broken("name that ends in a dash", a_pod(name="web-"), "convert", r'metadata\.name "web-" is not a name'),
    Broken("name with a slash", a_pod(name="a/b"), "convert", r'metadata\.name "a/b" is not a name'),
    Broken("name of two lines", a_pod(name='"a\\nb"'), "convert", r"metadata\.name .* is not a name"),
    Broken(
        "name too long",
        a_pod(name="w" * 254),
        "convert",
        r"metadata\.name .*\(254 characters\).* is not a name",
    ),
    Broken(
        "name too long with its namespace",
        a_pod(name="w" * 250, metadata=", namespace: shop"),
        "convert",
        r"metadata\.name is too long: .* 255 characters on the host, and 253 are allowed; shorten it by 2",
    ),
    Broken(
        "service named with a dot", a_service("{}").replace("web", "a.b"), "convert", r'metadata\.name "a\.b"'
    ),
    Broken(
        "namespace with a dot",
        a_pod(metadata=", namespace: a.b"),
        "convert",
        r'metadata\.namespace "a\.b" is not a namespace name',
    ),
    Broken(
        "label is a bool",
        a_pod(metadata=", labels: {a: yes}"),
        "convert",
        r"metadata\.labels\[a\] must be text, not true",
    ),
    Broken(
        "label is null",
        a_pod(metadata=", labels: {a: }"),
        "convert",
        r"metadata\.labels\[a\] must be text, not empty",
    ),
    Broken(
        "labels are a list", a_pod(metadata=", labels: [a]"), "convert", r"metadata\.labels must be an object"
    ),
    Broken(
        "annotation is a number",
        a_pod(metadata=", annotations: {a: 1}"),
        "convert",
        r"metadata\.annotations\[a\]",
    ),
    Broken(
        "spec is text",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: x\n",
        "convert",
        r"spec must be an object",
    ),
    Broken(
        "generated name in a namespace",
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-, namespace: shop}\nspec: {}\n",
        "convert",
        r"metadata\.generateName cannot carry a virtual namespace",
    ),
)

REFUSED = (
    Broken("label with a blank", a_pod(metadata=', labels: {a: "b c"}'), "api", r"metadata\.labels"),
    Broken(
        "annotation key with a blank",
        a_pod(metadata=', annotations: {"a b": x}'),
        "api",
        r"metadata\.annotations",
    ),
    Broken(
        "300 KiB of annotations",
        a_pod(metadata=f", annotations: {{a: {'x' * 300 * 1024}}}"),
        "api",
        r"metadata\.annotations: Too long",
    ),
    Broken(
        "no containers",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n",
        "api",
        r"spec\.containers",
    ),
    Broken(
        "containers is a map", a_pod().replace("[{name: main, image: x}]", "{}"), "api", r"spec\.containers"
    ),
    Broken(
        "containers of one name",
        a_pod().replace("}]", "}, {name: main, image: y}]"),
        "api",
        r"spec\.containers\[1\]|Duplicate",
    ),
    Broken("misspelt field", a_pod(", restartPolcy: Always"), "api", r'unknown field "spec\.restartPolcy"'),
    Broken("unknown restart policy", a_pod(", restartPolicy: Sometimes"), "api", r"spec\.restartPolicy"),
    Broken("quantity with a blank", a_pod(container=request("cpu", "1 core")), "api", r"resources\.requests"),
    Broken("quantity in German", a_pod(container=request("cpu", "0,5")), "api", r"resources\.requests"),
    Broken("negative quantity", a_pod(container=request("memory", "-1Gi")), "api", r"resources\.requests"),
    Broken(
        "port out of range",
        a_pod(container=", ports: [{containerPort: 70000}]"),
        "api",
        r"ports\[0\]\.containerPort",
    ),
    Broken(
        "port is text",
        a_pod(container=', ports: [{containerPort: "80"}]'),
        "api",
        r"ports\[0\]\.containerPort",
    ),
    Broken(
        "port is null", a_pod(container=", ports: [{containerPort: }]"), "api", r"ports\[0\]\.containerPort"
    ),
    Broken(
        "unknown protocol",
        a_pod(container=", ports: [{containerPort: 80, protocol: ICMP}]"),
        "api",
        r"protocol",
    ),
    Broken(
        "variable without a name", a_pod(container=", env: [{value: x}]"), "api", r"env\[0\]\.name|env\[0\]"
    ),
    Broken(
        "variable is a number", a_pod(container=", env: [{name: A, value: 7}]"), "api", r"env\[0\]\.value"
    ),
    Broken(
        "probe of two kinds",
        a_pod(container=probe("exec: {command: [a]}, tcpSocket: {port: 1}")),
        "api",
        r"readinessProbe",
    ),
    Broken(
        "probe every minus one",
        a_pod(container=probe("exec: {command: [a]}, periodSeconds: -1")),
        "api",
        r"periodSeconds",
    ),
    Broken(
        "deadline as a duration", a_pod(", activeDeadlineSeconds: 5m"), "api", r"spec\.activeDeadlineSeconds"
    ),
    Broken(
        "toleration of nothing", a_pod(", tolerations: [{operator: Sometimes}]"), "api", r"tolerations\[0\]"
    ),
    Broken("replicas below zero", a_deployment("  replicas: -1\n"), "api", r"spec\.replicas"),
    Broken("replicas is text", a_deployment('  replicas: "3"\n'), "api", r"spec\.replicas"),
    Broken("half a replica", a_deployment("  replicas: 2.5\n"), "api", r"spec\.replicas"),
    Broken("replicas beyond 32 bits", a_deployment("  replicas: 3000000000\n"), "api", r"spec\.replicas"),
    Broken(
        "no selector",
        a_deployment().replace("  selector: {matchLabels: {app: web}}\n", ""),
        "api",
        r"spec\.selector",
    ),
    Broken(
        "selector of other pods", a_deployment(selector="{matchLabels: {app: other}}"), "api", r"selector"
    ),
    Broken(
        "selector that says In nothing",
        a_deployment(selector="{matchExpressions: [{key: app, operator: In, values: []}]}"),
        "api",
        r"spec\.selector",
    ),
    Broken(
        "selector with an unknown operator",
        a_deployment(selector="{matchExpressions: [{key: app, operator: Is, values: [web]}]}"),
        "api",
        r"operator.*Unsupported value",
    ),
    Broken(
        "deployment that never restarts",
        a_deployment(template=", restartPolicy: Never"),
        "api",
        r"restartPolicy",
    ),
    Broken(
        "no surge and no gap",
        a_deployment("  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}\n"),
        "api",
        r"maxUnavailable",
    ),
    Broken(
        "surge of many percent",
        a_deployment("  strategy: {rollingUpdate: {maxSurge: 12.5%}}\n"),
        "api",
        r"maxSurge",
    ),
    Broken(
        "unknown strategy", a_deployment("  strategy: {type: BlueGreen}\n"), "api", r"spec\.strategy\.type"
    ),
    Broken("job that always restarts", a_job(policy="Always"), "api", r"restartPolicy"),
    Broken("job of minus one", a_job("  completions: -1\n"), "api", r"spec\.completions"),
    Broken("cron of four fields", a_job('  schedule: "* * * *"\n', kind="CronJob"), "api", r"spec\.schedule"),
    Broken(
        "cron at minute 61", a_job('  schedule: "61 * * * *"\n', kind="CronJob"), "api", r"spec\.schedule"
    ),
    Broken("cron without a schedule", a_job(kind="CronJob"), "api", r"spec\.schedule"),
    Broken("service port zero", a_service("{ports: [{port: 0}]}"), "api", r"spec\.ports\[0\]\.port"),
    Broken(
        "service of an unknown type", a_service("{type: Public, ports: [{port: 80}]}"), "api", r"spec\.type"
    ),
    Broken(
        "service at no address",
        a_service("{clusterIP: 10.0.0.999, ports: [{port: 80}]}"),
        "api",
        r"clusterIP",
    ),
    Broken("external name of nobody", a_service("{type: ExternalName}"), "api", r"externalName"),
    Broken("two ports without names", a_service("{ports: [{port: 80}, {port: 81}]}"), "api", r"spec\.ports"),
    Broken(
        "priority beyond bounds",
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: a}\nvalue: 2000000000\n",
        "api",
        r"value",
    ),
    Broken(
        "budget of both kinds",
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\n"
        "spec: {minAvailable: 1, maxUnavailable: 1, selector: {}}\n",
        "api",
        r"minAvailable|maxUnavailable",
    ),
    Broken(
        "taint of no effect",
        "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\nspec: {taints: [{key: a, effect: Nothing}]}\n",
        "api",
        r"spec\.taints\[0\]\.effect",
    ),
    Broken("node moved", a_pod(", nodeName: n1"), "change", r"spec\.nodeName", {"spec": {"nodeName": "n2"}}),
    Broken(
        "selector changed",
        a_deployment(),
        "change",
        r"spec\.selector",
        {
            "spec": {
                "selector": {"matchLabels": {"app": "x"}},
                "template": {"metadata": {"labels": {"app": "x"}}},
            }
        },
    ),
    Broken(
        "container renamed",
        a_pod(),
        "change",
        r"spec\.containers",
        {"spec": {"containers": [{"name": "x", "image": "x"}]}},
    ),
)

LATER = (
    Broken(
        "pod larger than any node", a_pod(container=request("cpu", "9999")), "operator", r"Insufficient cpu"
    ),
    Broken(
        "image that is no name", a_pod().replace("image: x", "image: 'A B'"), "operator", r"InvalidImageName"
    ),
    Broken(
        "node that is not there",
        a_pod(", nodeSelector: {nobody: here}"),
        "operator",
        r"node affinity/selector",
    ),
)

# What looks broken and is not: it must pass, and the operator must live with it.
FINE = (
    Broken(
        "grace of minus one",
        a_pod(", terminationGracePeriodSeconds: -1"),
        "nobody",
        "",
    ),
    Broken(
        "cron with a question mark",
        a_job('  schedule: "? * * * *"\n', kind="CronJob"),
        "nobody",
        "",
    ),
    Broken(
        "150 KiB of spec", a_pod(container=f', env: [{{name: A, value: "{"é" * 76_800}"}}]'), "nobody", ""
    ),
    Broken(
        "owners in a circle",
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a, ownerReferences: "
        "[{apiVersion: v1, kind: ConfigMap, name: b, uid: u2}]}}\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: b, ownerReferences: "
        "[{apiVersion: v1, kind: ConfigMap, name: a, uid: u1}]}}\n",
        "nobody",
        "",
    ),
    Broken(
        "emoji in an annotation",
        a_pod(metadata=', annotations: {a: "🪺 \\u202e \\u0000"}').replace("\\u0000", ""),
        "nobody",
        "",
    ),
    Broken("a name of dots", a_pod(name="a.b.c"), "nobody", ""),
    Broken("no replicas", a_deployment("  replicas: 0\n"), "nobody", ""),
    Broken(
        "binary settings",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bin}\n"
        f"binaryData: {{a: {base64.b64encode(bytes(range(256))).decode()}}}\n",
        "nobody",
        "",
    ),
)

CORPUS = (*NOT_A_MANIFEST, *NOT_AN_OBJECT, *REFUSED, *LATER, *FINE)
