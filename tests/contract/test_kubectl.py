"""kubectl itself against both servers: the same commands print the same."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from contract_server import Space
from nestling.host import binaries

WIDGET = """\
apiVersion: test.nestling.dev/v1
kind: Widget
metadata: {name: web, labels: {app: web}}
spec: {replicas: 2, size: small}
"""


def kubectl_path() -> str:
    """The kubectl that belongs to the real server, or the one in PATH."""
    found, _ = binaries.find(("kubectl",))
    if "kubectl" in found:
        return str(binaries.paths(found)["kubectl"])
    if os.environ.get("NESTLING_REQUIRE_LOCAL"):
        pytest.fail("NESTLING_REQUIRE_LOCAL is set, but there is no kubectl", pytrace=False)
    pytest.skip("there is no kubectl beside the real server or in PATH")


class Kubectl:
    """kubectl in the namespace of a test."""

    def __init__(self, space: Space, home: Path) -> None:
        self._space = space
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(space.server.kubeconfig),
            "HOME": str(home),
            "KUBE_EDITOR": "sed -i s/replicas:.2/replicas:\\ 3/",
        }
        self._path = kubectl_path()

    def __call__(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Run a command; its output with what differs from run to run made equal."""
        done = subprocess.run(
            [self._path, "--namespace", self._space.name, *arguments],
            input=given,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        text = done.stdout + done.stderr
        assert done.returncode == code, text
        return re.sub(r"\b\d+m?s\b", "AGE", text).replace(self._space.name, "SPACE")


@pytest.fixture
def kubectl(space: Space, tmp_path: Path) -> Kubectl:
    """kubectl for this test, with a discovery cache of its own."""
    return Kubectl(space, tmp_path)


def test_apply_and_its_relatives(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", given=WIDGET) == "widget.test.nestling.dev/web created\n"
    assert kubectl("apply", "-f", "-", given=WIDGET) == "widget.test.nestling.dev/web unchanged\n"
    changed = WIDGET.replace("replicas: 2", "replicas: 4")
    assert kubectl("diff", "-f", "-", given=changed, code=1).count("replicas: 4") == 1
    assert kubectl("apply", "-f", "-", given=changed) == "widget.test.nestling.dev/web configured\n"
    assert kubectl("get", "wd", "web", "-o", "jsonpath={.spec.replicas}") == "4"
    less = WIDGET.replace("replicas: 2, ", "")
    assert kubectl("apply", "-f", "-", given=less) == "widget.test.nestling.dev/web configured\n"
    assert kubectl("get", "wd", "web", "-o", "jsonpath={.spec.replicas}") == "1"
    assert kubectl("replace", "-f", "-", given=WIDGET) == "widget.test.nestling.dev/web replaced\n"
    assert "already exists" in kubectl("create", "-f", "-", given=WIDGET, code=1)


def test_apply_refuses_what_the_schema_does_not_know(kubectl: Kubectl) -> None:
    broken = WIDGET.replace("size: small", "sise: small")
    assert 'unknown field "spec.sise"' in kubectl("apply", "-f", "-", given=broken, code=1)
    assert 'Warning: unknown field "spec.sise"' in kubectl(
        "apply", "--validate=warn", "-f", "-", given=broken
    )


def test_apply_of_a_kind_that_is_not_there_says_so(kubectl: Kubectl) -> None:
    thing = "apiVersion: nowhere.nestling.dev/v1\nkind: Thing\nmetadata: {name: web}\n"
    refused = kubectl("apply", "-f", "-", given=thing, code=1)
    assert 'no matches for kind "Thing" in version "nowhere.nestling.dev/v1"' in refused
    assert "ensure CRDs are installed first" in refused


def test_server_side_apply(kubectl: Kubectl) -> None:
    done = "widget.test.nestling.dev/web serverside-applied\n"
    assert kubectl("apply", "--server-side", "-f", "-", given=WIDGET) == done
    changed = WIDGET.replace("replicas: 2", "replicas: 4")
    refused = kubectl("apply", "--server-side", "--field-manager", "me", "-f", "-", given=changed, code=1)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas' in refused
    forced = ("apply", "--server-side", "--field-manager", "me", "--force-conflicts", "-f", "-")
    assert kubectl(*forced, given=changed) == done


def test_columns(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=WIDGET)
    patch = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    kubectl("patch", "wd", "web", "--subresource", "status", "--type", "merge", "-p", patch)
    lines = [line.split() for line in kubectl("get", "widgets").splitlines()]
    assert lines == [["NAME", "SIZE", "REPLICAS", "READY", "AGE"], ["web", "small", "2", "True", "AGE"]]
    wide = kubectl("get", "wd", "-o", "wide").splitlines()[0].split()
    assert wide == ["NAME", "SIZE", "REPLICAS", "NODE", "READY", "AGE"]
    assert kubectl("get", "testing", "-o", "name") == "widget.test.nestling.dev/web\n"
    assert kubectl("get", "wd", "-l", "app=web", "-o", "name") == "widget.test.nestling.dev/web\n"
    assert kubectl("get", "wd", "-l", "app=other") == "No resources found in SPACE namespace.\n"


def test_changes(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", given=WIDGET)
    done = "widget.test.nestling.dev/web"
    assert kubectl("label", "wd", "web", "x=y") == f"{done} labeled\n"
    assert kubectl("annotate", "wd", "web", "note=hello") == f"{done} annotated\n"
    assert kubectl("edit", "wd", "web") == f"{done} edited\n"
    assert kubectl("get", "wd", "web", "-o", "jsonpath={.spec.replicas}") == "3"
    assert kubectl("scale", "wd", "web", "--replicas", "5") == f"{done} scaled\n"
    assert kubectl("get", "wd", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    assert (
        kubectl("patch", "wd", "web", "--type", "merge", "-p", '{"spec":{"node":"n1"}}')
        == f"{done} patched\n"
    )
    refused = kubectl("patch", "wd", "web", "--type", "merge", "-p", '{"spec":{"node":"n2"}}', code=1)
    assert refused == 'The Widget "web" is invalid: spec: Invalid value: node is set once\n'
    json_patch = '[{"op":"replace","path":"/spec/replicas","value":6}]'
    assert kubectl("patch", "wd", "web", "--type", "json", "-p", json_patch) == f"{done} patched\n"
    status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    kubectl("patch", "wd", "web", "--subresource", "status", "--type", "merge", "-p", status)
    assert kubectl("wait", "--for=condition=Ready", "wd/web", "--timeout=20s") == f"{done} condition met\n"
    assert (
        kubectl("wait", "--for=jsonpath={.spec.node}=n1", "wd/web", "--timeout=20s")
        == f"{done} condition met\n"
    )
    assert "deleted" in kubectl("delete", "wd", "web")
    assert "not found" in kubectl("get", "wd", "web", code=1)


def test_description_shows_events(kubectl: Kubectl, space: Space) -> None:
    kubectl("apply", "-f", "-", given=WIDGET)
    about = space.get("web")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1", "namespace": space.name},
        "involvedObject": {
            "apiVersion": "test.nestling.dev/v1",
            "kind": "Widget",
            "name": "web",
            "namespace": space.name,
            "uid": about["metadata"]["uid"],
        },
        "reason": "Started",
        "message": "it runs",
        "type": "Normal",
        "count": 1,
        "source": {"component": "test"},
        "firstTimestamp": about["metadata"]["creationTimestamp"],
        "lastTimestamp": about["metadata"]["creationTimestamp"],
    }
    space.server.expect(201, "POST", space.path("events"), event)
    described = kubectl("describe", "wd", "web")
    assert "Kind:         Widget" in described
    assert "Started" in described.split("Events:")[1]
    assert "it runs" in described
    listed = [line.split() for line in kubectl("get", "events").splitlines()]
    assert listed == [
        ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"],
        ["AGE", "Normal", "Started", "widget/web", "it", "runs"],
    ]
    assert "Started" in kubectl("events", "--for", "wd/web")


def test_explain_and_resources(kubectl: Kubectl) -> None:
    explained = kubectl("explain", "widgets.spec.ports")
    assert "FIELD: ports <[]Object>" in explained
    assert "name\t<string> -required-" in explained
    line = next(line for line in kubectl("api-resources").splitlines() if line.startswith("widgets"))
    assert line.split() == ["widgets", "wd", "test.nestling.dev/v1", "true", "Widget"]
    assert "test.nestling.dev/v1\n" in kubectl("api-versions")


def test_built_in_kinds_come_as_protocol_buffers(kubectl: Kubectl) -> None:
    assert kubectl("create", "configmap", "c", "--from-literal=a=b") == "configmap/c created\n"
    assert kubectl("get", "cm", "c", "-o", "jsonpath={.data}") == '{"a":"b"}'
    assert kubectl("create", "secret", "generic", "s", "--from-literal=a=b") == "secret/s created\n"
    assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.a}{.type}") == "Yg==Opaque"
    assert kubectl("create", "namespace", "SPACE".lower()) == "namespace/space created\n"
    assert "deleted" in kubectl("delete", "namespace", "space")
    assert kubectl("auth", "can-i", "create", "configmaps") == "yes\n"


def test_watching(kubectl: Kubectl, space: Space) -> None:
    space.create("a")
    seen = kubectl("get", "wd", "--watch", "--request-timeout=2s", "--output-watch-events")
    assert seen.splitlines()[1].split()[:4] == ["ADDED", "a", "small", "1"]
