"""Native manifests in, virtual ones out: golden files for whole manifests, tables for rules and sentences.

`NESTLING_RENEW=1 pytest tests/unit/cli/test_convert.py` writes the golden files anew.
"""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from command_line import typed
from nestling.api.kinds import BY_NATIVE
from nestling.cli import reasons
from nestling.cli.translate import LeftOut, Place, translate

GOLDEN = Path(__file__).parent / "testdata" / "convert"
CASES = sorted(path.name.removesuffix(".input.yaml") for path in GOLDEN.glob("*.input.yaml"))


def a_native(kind: str = "Deployment", api_version: str = "apps/v1", **metadata: Any) -> dict[str, Any]:
    """The dullest native object."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", **metadata}, "spec": {}}


@pytest.mark.parametrize("case", CASES)
def test_manifests_convert_as_recorded(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    done = typed("convert", "-f", f"{case}.input.yaml")
    assert done.code == 0
    for suffix, text in (("output.yaml", done.out), ("stderr.txt", done.err)):
        golden = GOLDEN / f"{case}.{suffix}"
        if os.environ.get("NESTLING_RENEW"):
            golden.write_text(text)
        assert text == golden.read_text(), f"{golden.name} differs"


@pytest.mark.parametrize("case", CASES)
def test_what_was_converted_passes_again_unchanged(case: str) -> None:
    virtual = (GOLDEN / f"{case}.output.yaml").read_text()
    ours = "---\n".join(part for part in virtual.split("---\n") if "nestling.dev/" in part)
    assert typed("convert", "-f", "-", stdin=ours).out == ours


@pytest.mark.parametrize(
    ("metadata", "place", "wanted"),
    [
        pytest.param({}, Place(), {"name": "web"}, id="default namespace by omission"),
        pytest.param({"namespace": "default"}, Place(), {"name": "web"}, id="default namespace by name"),
        pytest.param({"namespace": "shop"}, Place(), {"name": "web.shop"}, id="another namespace"),
        pytest.param({"name": "a.b"}, Place(), {"name": "a.b.default"}, id="dots in default"),
        pytest.param({"name": "a.b", "namespace": "c"}, Place(), {"name": "a.b.c"}, id="dots elsewhere"),
        pytest.param({}, Place("", "shop"), {"name": "web.shop"}, id="--virtual-namespace fills in"),
        pytest.param(
            {"namespace": "x"},
            Place("", "shop"),
            {"name": "web.x"},
            id="--virtual-namespace yields to the manifest",
        ),
        pytest.param(
            {"namespace": "shop"},
            Place("team-a"),
            {"name": "web.shop", "namespace": "team-a"},
            id="--namespace is the host's",
        ),
        pytest.param(
            {"name": None, "generateName": "web-"},
            Place(),
            {"generateName": "web-"},
            id="generated name in default",
        ),
        pytest.param(
            {"labels": {"a": "b"}}, Place(), {"name": "web", "labels": {"a": "b"}}, id="labels stay"
        ),
        pytest.param({"labels": None}, Place(), {"name": "web"}, id="empty labels go"),
        pytest.param(
            {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            Place(),
            {"name": "web"},
            id="last applied goes",
        ),
        pytest.param(
            {
                "uid": "1",
                "resourceVersion": "2",
                "generation": 3,
                "creationTimestamp": "2026-11-23T10:00:00Z",
                "managedFields": [],
                "ownerReferences": [{"name": "x"}],
                "finalizers": ["a/b"],
                "selfLink": "/x",
                "deletionTimestamp": "2026-11-23T10:00:00Z",
                "deletionGracePeriodSeconds": 0,
            },
            Place(),
            {"name": "web"},
            id="server-set fields go",
        ),
        pytest.param(
            {"namespace": "n" * 63, "name": "w" * 189}, Place(), {"name": f"{'w' * 189}.{'n' * 63}"}, id="253"
        ),
    ],
)
def test_metadata_is_renamed_by_the_rule(
    metadata: dict[str, Any], place: Place, wanted: dict[str, Any]
) -> None:
    made = translate(a_native(**metadata), place)
    assert not isinstance(made, LeftOut)
    assert made["metadata"] == wanted


@pytest.mark.parametrize("native", sorted(BY_NATIVE), ids=str)
def test_every_native_kind_becomes_its_virtual_kind(native: tuple[str, str]) -> None:
    kind = BY_NATIVE[native]
    made = translate(a_native(native[1], native[0], namespace="shop"), Place())
    assert not isinstance(made, LeftOut)
    assert (made["apiVersion"], made["kind"]) == ("nestling.dev/v1alpha1", kind.name)
    assert made["metadata"] == {"name": "web.shop" if kind.scoped else "web"}


@pytest.mark.parametrize("kind", sorted(reasons.BY_KIND))
def test_no_kind_is_both_taken_and_left_out(kind: str) -> None:
    assert kind not in {native for _, native in BY_NATIVE}


@pytest.mark.parametrize(
    ("api_version", "kind", "why"),
    [
        pytest.param("networking.k8s.io/v1", "Ingress", "no virtual kind for it yet", id="not yet"),
        pytest.param("rbac.authorization.k8s.io/v1", "Role", "host's own RBAC", id="belongs to the host"),
        pytest.param(
            "extensions/v1beta1", "Deployment", "in 1.16; write apiVersion: apps/v1", id="removed in 1.16"
        ),
        pytest.param("batch/v1beta1", "CronJob", "in 1.25; write apiVersion: batch/v1", id="removed in 1.25"),
        pytest.param(
            "v1", "Deployment", "Deployment is not in v1; write apiVersion: apps/v1", id="wrong group"
        ),
        pytest.param(
            "apps/v1", "ConfigMap", "not in apps/v1; write apiVersion: v1", id="reused kind, wrong group"
        ),
        pytest.param("apps/v1", "Deploymnet", "check the spelling", id="misspelt"),
        pytest.param("acme.io/v1", "Deployment", "custom resource", id="foreign group"),
        pytest.param("cert-manager.io/v1", "Certificate", "custom resource", id="custom resource"),
    ],
)
def test_why_an_object_is_left_out(api_version: str, kind: str, why: str) -> None:
    made = translate(a_native(kind, api_version), Place())
    assert isinstance(made, LeftOut)
    assert why in made.why
    assert not made.expected


def exported(kind: str, api_version: str, name: str, *, owner: str = "", **spec: Any) -> dict[str, Any]:
    """An object as a server prints it."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "5",
    }
    if owner:
        metadata["ownerReferences"] = [
            {"kind": "X", "name": owner, "uid": f"uid-{owner}", "controller": True}
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec, "status": {"x": 1}}


EXPORT = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        exported("Deployment", "apps/v1", "web"),
        exported("ReplicaSet", "apps/v1", "web-1", owner="web"),
        exported("Pod", "v1", "web-1-a", owner="web-1"),
        exported("Pod", "v1", "alone", owner="somebody-else"),
    ],
}


def test_what_a_controller_makes_anew_is_left_to_it() -> None:
    done = typed("convert", "-f", "-", "-o", "name", stdin=orjson.dumps(EXPORT))
    assert done.code == 0
    assert done.out.splitlines() == [
        "virtualdeployment.nestling.dev/web.shop",
        "virtualpod.nestling.dev/alone.shop",
    ]
    assert "Pod shop/web-1-a is left out: ReplicaSet shop/web-1, which is in the input as well" in done.err


def test_keep_owned_keeps_it() -> None:
    done = typed("convert", "-f", "-", "-o", "json", "--keep-owned", stdin=orjson.dumps(EXPORT))
    items = done.json()["items"]
    assert len(items) == 4
    assert all("ownerReferences" not in item["metadata"] and "status" not in item for item in items)


def test_allocated_addresses_stay_behind_with_the_cluster_that_gave_them() -> None:
    ports = [{"port": 80, "nodePort": 31234}]
    live = exported("Service", "v1", "web", clusterIP="10.0.0.7", clusterIPs=["10.0.0.7"], ports=ports)
    made = translate(live, Place())
    assert not isinstance(made, LeftOut)
    assert made["spec"] == {"ports": [{"port": 80}]}
    written = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"clusterIP": "10.96.0.9"},
    }
    kept = translate(written, Place())
    assert not isinstance(kept, LeftOut)
    assert kept["spec"] == {"clusterIP": "10.96.0.9"}


def test_a_generated_job_selector_stays_behind_with_its_uid() -> None:
    labels = {"batch.kubernetes.io/controller-uid": "u", "job-name": "j", "app": "x"}
    live = exported(
        "Job",
        "batch/v1",
        "j",
        selector={"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        template={"metadata": {"labels": labels}, "spec": {}},
    )
    made = translate(live, Place())
    assert not isinstance(made, LeftOut)
    assert made["spec"] == {"template": {"metadata": {"labels": {"app": "x"}}, "spec": {}}}


def test_translating_leaves_the_input_alone() -> None:
    live = exported("Service", "v1", "web", clusterIP="10.0.0.7", ports=[{"port": 80, "nodePort": 31234}])
    before = orjson.dumps(live)
    translate(live, Place("team-a"))
    assert orjson.dumps(live) == before


def test_several_files_a_directory_and_standard_input(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(a_native(name="b")))
    (tmp_path / "a.json").write_bytes(orjson.dumps(a_native(name="a")))
    (tmp_path / "notes.txt").write_text("not a manifest: [")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c.yml").write_text(yaml.safe_dump(a_native(name="c")))
    stdin = yaml.safe_dump(a_native(name="d"))
    flat = typed("convert", "-f", str(tmp_path), "-f", "-", "-o", "name", stdin=stdin)
    assert [line.rpartition("/")[2] for line in flat.out.splitlines()] == ["a", "b", "d"]
    deep = typed("convert", "-R", "-f", str(tmp_path), "-o", "name")
    assert [line.rpartition("/")[2] for line in deep.out.splitlines()] == ["a", "b", "c"]


def test_text_with_a_mark_of_order_is_read(tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        file = tmp_path / f"{encoding}.yaml"
        file.write_bytes(yaml.safe_dump(a_native()).encode(encoding))
        assert typed("convert", "-f", str(file), "-o", "name").out == "virtualdeployment.nestling.dev/web\n"


def test_strict_fails_after_printing_what_it_can() -> None:
    both = f"{yaml.safe_dump(a_native())}---\n{yaml.safe_dump(a_native('Ingress', 'networking.k8s.io/v1'))}"
    easy = typed("convert", "-f", "-", "-o", "name", stdin=both)
    assert (easy.code, easy.out) == (0, "virtualdeployment.nestling.dev/web\n")
    strict = typed("convert", "-f", "-", "-o", "name", "--strict", stdin=both)
    assert (strict.code, strict.out) == (1, easy.out)
    assert strict.err.splitlines()[-1] == (
        "Error: 1 object left out; take them out of the input, or run without --strict"
    )


def test_one_broken_object_stops_all_output() -> None:
    both = f"{yaml.safe_dump(a_native())}---\n{yaml.safe_dump(a_native(name='No Good'))}"
    done = typed("convert", "-f", "-", stdin=both)
    assert (done.code, done.out) == (1, "")
    assert 'Deployment No Good: metadata.name "No Good" is not a name' in done.err


def test_an_empty_input_is_no_error() -> None:
    done = typed("convert", "-f", "-", stdin="# nothing here\n---\n")
    assert (done.code, done.out, done.err) == (0, "", "Warning: the input holds no object\n")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        pytest.param(
            ("-f", "nowhere.yaml"), 3, "nowhere.yaml does not exist; give a file", id="no such file"
        ),
        pytest.param(
            ("-f", "."), 3, "the directory . holds no manifest; name files that end in", id="empty directory"
        ),
        pytest.param(
            ("-f", "-", "-o", "wide"), 2, "-o wide is not a form of this command", id="no wide form"
        ),
        pytest.param((), 2, "Missing option '--filename'", id="no input"),
    ],
)
def test_the_command_line_is_judged(
    arguments: tuple[str, ...],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = typed("convert", *arguments)
    assert done.code == code
    assert sentence in done.err
