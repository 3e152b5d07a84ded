"""The `kube_*` families: names, types and label names are those that stock dashboards and alerts ask for."""

import os
from pathlib import Path

import pytest

from nestling.monitoring.kube_state.page import FAMILIES
from unit.monitoring.scraping import scrape_of
from unit.monitoring.small_world import small_world

GOLDEN = Path(__file__).parent / "golden" / "small_world.txt"

POD = "namespace pod uid"
CONTAINER = f"{POD} container"
NODE = "node"
DEPLOYMENT = "namespace deployment"
REPLICA_SET = "namespace replicaset"
HPA = "namespace horizontalpodautoscaler"
BUDGET = "namespace poddisruptionbudget"
STATEFUL_SET = "namespace statefulset"
DAEMON_SET = "namespace daemonset"
CONTROLLER = "namespace replicationcontroller"
JOB = "namespace job_name"
CRON_JOB = "namespace cronjob"
SERVICE = "namespace service uid"
OWNER = "owner_kind owner_name owner_is_controller"
AMOUNT = f"{CONTAINER} node resource unit"

# What kube-state-metrics documents (docs/metrics): the label names of each family, but for `cluster`.
STOCK = {
    "kube_pod_info": f"{POD} node host_ip pod_ip created_by_kind created_by_name priority_class host_network",
    "kube_pod_ips": f"{POD} ip ip_family",
    "kube_pod_owner": f"{POD} {OWNER}",
    "kube_pod_created": POD,
    "kube_pod_start_time": POD,
    "kube_pod_completion_time": POD,
    "kube_pod_deletion_timestamp": POD,
    "kube_pod_restart_policy": f"{POD} type",
    "kube_pod_tolerations": f"{POD} key operator value effect toleration_seconds",
    "kube_pod_status_phase": f"{POD} phase",
    "kube_pod_status_qos_class": f"{POD} qos_class",
    "kube_pod_status_ready": f"{POD} condition",
    "kube_pod_status_ready_time": POD,
    "kube_pod_status_reason": f"{POD} reason",
    "kube_pod_status_scheduled": f"{POD} condition",
    "kube_pod_status_scheduled_time": POD,
    "kube_pod_status_unschedulable": POD,
    "kube_pod_container_info": f"{CONTAINER} image_spec image image_id container_id",
    "kube_pod_container_resource_requests": AMOUNT,
    "kube_pod_container_resource_limits": AMOUNT,
    "kube_pod_container_state_started": CONTAINER,
    "kube_pod_container_status_ready": CONTAINER,
    "kube_pod_container_status_restarts_total": CONTAINER,
    "kube_pod_container_status_running": CONTAINER,
    "kube_pod_container_status_terminated": CONTAINER,
    "kube_pod_container_status_terminated_reason": f"{CONTAINER} reason",
    "kube_pod_container_status_last_terminated_reason": f"{CONTAINER} reason",
    "kube_pod_container_status_last_terminated_exitcode": CONTAINER,
    "kube_pod_container_status_last_terminated_timestamp": CONTAINER,
    "kube_pod_container_status_waiting": CONTAINER,
    "kube_pod_container_status_waiting_reason": f"{CONTAINER} reason",
    "kube_pod_init_container_info": (f"{CONTAINER} image_spec image image_id container_id restart_policy"),
    "kube_pod_init_container_resource_requests": AMOUNT,
    "kube_pod_init_container_resource_limits": AMOUNT,
    "kube_pod_init_container_status_ready": CONTAINER,
    "kube_pod_init_container_status_restarts_total": CONTAINER,
    "kube_pod_init_container_status_running": CONTAINER,
    "kube_pod_init_container_status_terminated": CONTAINER,
    "kube_pod_init_container_status_terminated_reason": f"{CONTAINER} reason",
    "kube_pod_init_container_status_last_terminated_reason": f"{CONTAINER} reason",
    "kube_pod_init_container_status_waiting": CONTAINER,
    "kube_pod_init_container_status_waiting_reason": f"{CONTAINER} reason",
    "kube_node_info": (
        "node kernel_version os_image container_runtime_version kubelet_version kubeproxy_version "
        "provider_id pod_cidr system_uuid internal_ip"
    ),
    "kube_node_created": NODE,
    "kube_node_deletion_timestamp": NODE,
    "kube_node_role": "node role",
    "kube_node_spec_taint": "node key value effect",
    "kube_node_spec_unschedulable": NODE,
    "kube_node_status_addresses": "node type address",
    "kube_node_status_allocatable": "node resource unit",
    "kube_node_status_capacity": "node resource unit",
    "kube_node_status_condition": "node condition status",
    "kube_namespace_created": "namespace",
    "kube_namespace_status_phase": "namespace phase",
    "kube_deployment_created": DEPLOYMENT,
    "kube_deployment_deletion_timestamp": DEPLOYMENT,
    "kube_deployment_metadata_generation": DEPLOYMENT,
    "kube_deployment_owner": f"{DEPLOYMENT} {OWNER}",
    "kube_deployment_spec_paused": DEPLOYMENT,
    "kube_deployment_spec_replicas": DEPLOYMENT,
    "kube_deployment_spec_strategy_rollingupdate_max_surge": DEPLOYMENT,
    "kube_deployment_spec_strategy_rollingupdate_max_unavailable": DEPLOYMENT,
    "kube_deployment_status_condition": f"{DEPLOYMENT} reason condition status",
    "kube_deployment_status_observed_generation": DEPLOYMENT,
    "kube_deployment_status_replicas": DEPLOYMENT,
    "kube_deployment_status_replicas_available": DEPLOYMENT,
    "kube_deployment_status_replicas_ready": DEPLOYMENT,
    "kube_deployment_status_replicas_unavailable": DEPLOYMENT,
    "kube_deployment_status_replicas_updated": DEPLOYMENT,
    "kube_deployment_status_terminating_replicas": DEPLOYMENT,
    "kube_replicaset_created": REPLICA_SET,
    "kube_replicaset_metadata_generation": REPLICA_SET,
    "kube_replicaset_owner": f"{REPLICA_SET} {OWNER}",
    "kube_replicaset_spec_replicas": REPLICA_SET,
    "kube_replicaset_status_fully_labeled_replicas": REPLICA_SET,
    "kube_replicaset_status_observed_generation": REPLICA_SET,
    "kube_replicaset_status_ready_replicas": REPLICA_SET,
    "kube_replicaset_status_replicas": REPLICA_SET,
    "kube_replicaset_status_terminating_replicas": REPLICA_SET,
    "kube_horizontalpodautoscaler_info": (
        f"{HPA} scaletargetref_api_version scaletargetref_kind scaletargetref_name"
    ),
    "kube_horizontalpodautoscaler_metadata_generation": HPA,
    "kube_horizontalpodautoscaler_spec_max_replicas": HPA,
    "kube_horizontalpodautoscaler_spec_min_replicas": HPA,
    "kube_horizontalpodautoscaler_status_condition": f"{HPA} condition status",
    "kube_horizontalpodautoscaler_status_current_replicas": HPA,
    "kube_horizontalpodautoscaler_status_desired_replicas": HPA,
    "kube_poddisruptionbudget_created": BUDGET,
    "kube_poddisruptionbudget_status_current_healthy": BUDGET,
    "kube_poddisruptionbudget_status_desired_healthy": BUDGET,
    "kube_poddisruptionbudget_status_expected_pods": BUDGET,
    "kube_poddisruptionbudget_status_observed_generation": BUDGET,
    "kube_poddisruptionbudget_status_pod_disruptions_allowed": BUDGET,
    "kube_statefulset_created": STATEFUL_SET,
    "kube_statefulset_deletion_timestamp": STATEFUL_SET,
    "kube_statefulset_metadata_generation": STATEFUL_SET,
    "kube_statefulset_ordinals_start": STATEFUL_SET,
    "kube_statefulset_persistentvolumeclaim_retention_policy": f"{STATEFUL_SET} when_deleted when_scaled",
    "kube_statefulset_replicas": STATEFUL_SET,
    "kube_statefulset_status_current_revision": f"{STATEFUL_SET} revision",
    "kube_statefulset_status_observed_generation": STATEFUL_SET,
    "kube_statefulset_status_replicas": STATEFUL_SET,
    "kube_statefulset_status_replicas_available": STATEFUL_SET,
    "kube_statefulset_status_replicas_current": STATEFUL_SET,
    "kube_statefulset_status_replicas_ready": STATEFUL_SET,
    "kube_statefulset_status_replicas_updated": STATEFUL_SET,
    "kube_statefulset_status_update_revision": f"{STATEFUL_SET} revision",
    "kube_daemonset_created": DAEMON_SET,
    "kube_daemonset_deletion_timestamp": DAEMON_SET,
    "kube_daemonset_metadata_generation": DAEMON_SET,
    "kube_daemonset_status_current_number_scheduled": DAEMON_SET,
    "kube_daemonset_status_desired_number_scheduled": DAEMON_SET,
    "kube_daemonset_status_number_available": DAEMON_SET,
    "kube_daemonset_status_number_misscheduled": DAEMON_SET,
    "kube_daemonset_status_number_ready": DAEMON_SET,
    "kube_daemonset_status_number_unavailable": DAEMON_SET,
    "kube_daemonset_status_observed_generation": DAEMON_SET,
    "kube_daemonset_status_updated_number_scheduled": DAEMON_SET,
    "kube_replicationcontroller_created": CONTROLLER,
    "kube_replicationcontroller_metadata_generation": CONTROLLER,
    "kube_replicationcontroller_owner": f"{CONTROLLER} {OWNER}",
    "kube_replicationcontroller_spec_replicas": CONTROLLER,
    "kube_replicationcontroller_status_available_replicas": CONTROLLER,
    "kube_replicationcontroller_status_fully_labeled_replicas": CONTROLLER,
    "kube_replicationcontroller_status_observed_generation": CONTROLLER,
    "kube_replicationcontroller_status_ready_replicas": CONTROLLER,
    "kube_replicationcontroller_status_replicas": CONTROLLER,
    "kube_job_complete": f"{JOB} condition",
    "kube_job_created": JOB,
    "kube_job_failed": f"{JOB} condition",
    "kube_job_info": JOB,
    "kube_job_owner": f"{JOB} {OWNER}",
    "kube_job_spec_active_deadline_seconds": JOB,
    "kube_job_spec_completions": JOB,
    "kube_job_spec_parallelism": JOB,
    "kube_job_status_active": JOB,
    "kube_job_status_completion_time": JOB,
    "kube_job_status_failed": f"{JOB} reason",
    "kube_job_status_start_time": JOB,
    "kube_job_status_succeeded": JOB,
    "kube_cronjob_created": CRON_JOB,
    "kube_cronjob_info": f"{CRON_JOB} schedule concurrency_policy timezone",
    "kube_cronjob_next_schedule_time": CRON_JOB,
    "kube_cronjob_spec_starting_deadline_seconds": CRON_JOB,
    "kube_cronjob_spec_suspend": CRON_JOB,
    "kube_cronjob_status_active": CRON_JOB,
    "kube_cronjob_status_last_schedule_time": CRON_JOB,
    "kube_cronjob_status_last_successful_time": CRON_JOB,
    "kube_service_created": SERVICE,
    "kube_service_info": f"{SERVICE} cluster_ip external_name external_traffic_policy load_balancer_ip",
    "kube_service_spec_external_ip": f"{SERVICE} external_ip",
    "kube_service_spec_type": f"{SERVICE} type",
    "kube_service_status_load_balancer_ingress": f"{SERVICE} ip hostname",
}
# Their label names depend on the objects; see test_kube_state_values.
LABEL_FAMILIES = {
    f"kube_{kind}_labels"
    for kind in (
        *("pod", "node", "namespace", "deployment", "replicaset", "statefulset", "daemonset", "service"),
        "poddisruptionbudget",
        "pod",
        "node",
        "namespace",
        "deployment",
        "replicaset",
        "service",
        "poddisruptionbudget",
        "horizontalpodautoscaler",
        "job",
        "cronjob",
    )
}
OWN = {"nestling_kube_state_unreadable_objects"}


def test_a_small_world_reads_as_its_golden_text() -> None:
    text = scrape_of(*small_world()).text
    if os.environ.get("NESTLING_RENEW"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("name", STOCK)
def test_a_family_has_the_label_names_of_kube_state_metrics(name: str) -> None:
    assert scrape_of(*small_world()).labels(name) == {frozenset(["cluster", *STOCK[name].split()])}


def test_no_other_family_is_served() -> None:
    assert {family.name for family in FAMILIES} == STOCK.keys() | LABEL_FAMILIES | OWN


def test_types_and_help_are_told_even_where_nothing_is() -> None:
    families = scrape_of().families
    names = {family.name.removesuffix("_total"): family for family in FAMILIES}
    assert families.keys() == names.keys()
    for name, family in families.items():
        assert family.type == ("counter" if names[name].name.endswith("_total") else "gauge")
        assert family.documentation == names[name].help != ""


def test_labels_are_declared_as_they_are_served() -> None:
    for family in FAMILIES:
        if family.name in STOCK:
            assert {*family.identity, *family.labels} == {"cluster", *STOCK[family.name].split()}
