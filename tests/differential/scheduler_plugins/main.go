// Puts pods before kube-scheduler's own plugins: clusters as JSON in, for every pod the reasons and scores per node out.
// Nothing is scheduled: the pods of a cluster are each judged against the same bound ones.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/parallelize"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/imagelocality"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodename"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeunschedulable"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/podtopologyspread"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

type cluster struct {
	Nodes        []*v1.Node            `json:"nodes"`
	Bound        []*v1.Pod             `json:"bound"`
	Pods         []*v1.Pod             `json:"pods"`
	Namespaces   []*v1.Namespace       `json:"namespaces"`
	Services     []*v1.Service         `json:"services"`
	ReplicaSets  []*appsv1.ReplicaSet  `json:"replicaSets"`
	StatefulSets []*appsv1.StatefulSet `json:"statefulSets"`
	Removals     []removal             `json:"removals"`
	Profile      profile               `json:"profile"`
}

// profile is what a cluster's plugins are configured with.
type profile struct {
	Strategy *config.ScoringStrategy       `json:"strategy"`
	Spread   *config.PodTopologySpreadArgs `json:"spread"`
	Near     *config.InterPodAffinityArgs  `json:"near"`
	Affinity *config.NodeAffinityArgs      `json:"affinity"`
	Balanced []config.ResourceSpec         `json:"balanced"`
}

// removal asks of every pending pod: would it go to this node if these of the bound pods were not there, and those pending were?
type removal struct {
	Node    string `json:"node"`
	Without []int  `json:"without"`
	With    []int  `json:"with"`
}

// verdict is what the plugins say of one pod: scores are normalized and weighted, Elsewhere are nodes that PreFilter left out.
type verdict struct {
	Rejected  string                      `json:"rejected"`
	Elsewhere []string                    `json:"elsewhere"`
	Refused   map[string][]string         `json:"refused"`
	Scores    map[string]map[string]int64 `json:"scores"`
	Fits      []bool                      `json:"fits"`
	Helpless  []string                    `json:"helpless"`
}

// handle is as much of the scheduler as the plugins ask for when they are made.
type handle struct {
	fwk.Handle
	lister    fwk.SharedLister
	informers informers.SharedInformerFactory
}

func (handle) SharedDRAManager() fwk.SharedDRAManager                   { return nil }
func (h handle) SnapshotSharedLister() fwk.SharedLister                 { return h.lister }
func (h handle) SharedInformerFactory() informers.SharedInformerFactory { return h.informers }
func (handle) Parallelizer() fwk.Parallelizer                           { return parallelize.NewParallelizer(1) }

var weights = map[string]int64{"TaintToleration": 3, "NodeAffinity": 2, "PodTopologySpread": 2, "InterPodAffinity": 2}

func main() {
	metrics.Register() // parallel loops count themselves
	var clusters []cluster
	if err := json.NewDecoder(os.Stdin).Decode(&clusters); err != nil {
		log.Fatal(err)
	}
	answers := make([][]verdict, 0, len(clusters))
	for _, one := range clusters {
		lister := cache.NewSnapshot(one.Bound, one.Nodes)
		nodes, err := lister.NodeInfos().List()
		if err != nil {
			log.Fatal(err)
		}
		plugins := configured(one, lister)
		verdicts := make([]verdict, 0, len(one.Pods))
		for _, pod := range one.Pods {
			found := judge(plugins, nodes, pod)
			found.Fits = removals(plugins, nodes, pod, one)
			verdicts = append(verdicts, found)
		}
		answers = append(answers, verdicts)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func configured(one cluster, lister fwk.SharedLister) []fwk.Plugin {
	ctx, h := context.Background(), handle{lister: lister, informers: informers.NewSharedInformerFactory(nil, 0)}
	for _, object := range one.Namespaces {
		check(h.informers.Core().V1().Namespaces().Informer().GetIndexer().Add(object))
	}
	for _, object := range one.Services {
		check(h.informers.Core().V1().Services().Informer().GetIndexer().Add(object))
	}
	for _, object := range one.ReplicaSets {
		check(h.informers.Apps().V1().ReplicaSets().Informer().GetIndexer().Add(object))
	}
	for _, object := range one.StatefulSets {
		check(h.informers.Apps().V1().StatefulSets().Informer().GetIndexer().Add(object))
	}
	on := feature.Features{
		EnablePodLevelResources:                       true,
		EnableInPlacePodVerticalScaling:               true,
		EnableInPlacePodLevelResourcesVerticalScaling: true,
		EnableNodeInclusionPolicyInPodTopologySpread:  true,
		EnableMatchLabelKeysInPodTopologySpread:       true,
	}
	with := one.Profile
	if with.Near == nil {
		with.Near = &config.InterPodAffinityArgs{HardPodAffinityWeight: 1}
	}
	if with.Affinity == nil {
		with.Affinity = &config.NodeAffinityArgs{}
	}
	return []fwk.Plugin{
		must(nodename.New(ctx, nil, h, on)),
		must(nodeunschedulable.New(ctx, nil, h, on)),
		must(tainttoleration.New(ctx, nil, h, on)),
		must(nodeaffinity.New(ctx, with.Affinity, h, on)),
		must(nodeports.New(ctx, nil, h, on)),
		must(noderesources.NewFit(ctx, &config.NodeResourcesFitArgs{ScoringStrategy: with.Strategy}, h, on)),
		must(podtopologyspread.New(ctx, with.Spread, h, on)),
		must(interpodaffinity.New(ctx, with.Near, h, on)),
		must(noderesources.NewBalancedAllocation(ctx, &config.NodeResourcesBalancedAllocationArgs{Resources: with.Balanced}, h, on)),
		must(imagelocality.New(ctx, nil, h)),
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// removals does what preemption's dry run does: PreFilter once, then RemovePod and AddPod on copies, then Filter.
func removals(plugins []fwk.Plugin, nodes []fwk.NodeInfo, pod *v1.Pod, one cluster) []bool {
	ctx, found := context.Background(), []bool{}
	for _, ask := range one.Removals {
		state, skip := framework.NewCycleState(), map[string]bool{}
		only, status := prefilter(plugins, skip, state, pod, nodes)
		fits := status == nil && (only.AllNodes() || only.NodeNames.Has(ask.Node))
		if fits {
			var info fwk.NodeInfo
			for _, node := range nodes {
				if node.Node().Name == ask.Node {
					info = node.Snapshot()
				}
			}
			for _, n := range ask.Without {
				gone, err := framework.NewPodInfo(one.Bound[n])
				check(err)
				check(info.RemovePod(klog.Background(), gone.Pod))
				extend(plugins, skip, func(e fwk.PreFilterExtensions) *fwk.Status { return e.RemovePod(ctx, state, pod, gone, info) })
			}
			for _, n := range ask.With {
				come, err := framework.NewPodInfo(one.Pods[n])
				check(err)
				info.AddPodInfo(come)
				extend(plugins, skip, func(e fwk.PreFilterExtensions) *fwk.Status { return e.AddPod(ctx, state, pod, come, info) })
			}
			fits = filter(plugins, skip, state, pod, info) == nil
		}
		found = append(found, fits)
	}
	return found
}

func extend(plugins []fwk.Plugin, skip map[string]bool, do func(fwk.PreFilterExtensions) *fwk.Status) {
	for _, plugin := range plugins {
		one, ok := plugin.(fwk.PreFilterPlugin)
		if !ok || skip[plugin.Name()] || one.PreFilterExtensions() == nil {
			continue
		}
		if status := do(one.PreFilterExtensions()); !status.IsSuccess() {
			log.Fatal(status.Message())
		}
	}
}

func prefilter(plugins []fwk.Plugin, skip map[string]bool, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	var only *fwk.PreFilterResult
	for _, plugin := range plugins {
		if before, ok := plugin.(fwk.PreFilterPlugin); ok {
			result, status := before.PreFilter(context.Background(), state, pod, nodes)
			switch {
			case status.IsSkip():
				skip[plugin.Name()] = true
			case !status.IsSuccess():
				return nil, status
			case !result.AllNodes():
				only = only.Merge(result)
			}
		}
	}
	return only, nil
}

func must(plugin fwk.Plugin, err error) fwk.Plugin {
	if err != nil {
		log.Fatal(err)
	}
	return plugin
}

func judge(plugins []fwk.Plugin, nodes []fwk.NodeInfo, pod *v1.Pod) verdict {
	state := framework.NewCycleState()
	found := verdict{Elsewhere: []string{}, Refused: map[string][]string{}, Scores: map[string]map[string]int64{}, Helpless: []string{}}
	skip := map[string]bool{}
	only, status := prefilter(plugins, skip, state, pod, nodes)
	if status != nil {
		found.Rejected = status.Message()
		return found
	}
	var feasible []fwk.NodeInfo
	for _, node := range nodes {
		name := node.Node().Name
		if !only.AllNodes() && !only.NodeNames.Has(name) {
			found.Elsewhere = append(found.Elsewhere, name)
		} else if status := filter(plugins, skip, state, pod, node); status != nil {
			found.Refused[name] = status.Reasons()
			if status.Code() == fwk.UnschedulableAndUnresolvable {
				found.Helpless = append(found.Helpless, name)
			}
		} else {
			feasible = append(feasible, node)
		}
	}
	if len(feasible) > 0 {
		score(plugins, state, pod, feasible, found.Scores)
	}
	return found
}

func filter(plugins []fwk.Plugin, skip map[string]bool, state fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	for _, plugin := range plugins {
		if one, ok := plugin.(fwk.FilterPlugin); ok && !skip[plugin.Name()] {
			if status := one.Filter(context.Background(), state, pod, node); !status.IsSuccess() {
				return status
			}
		}
	}
	return nil
}

func score(plugins []fwk.Plugin, state fwk.CycleState, pod *v1.Pod, nodes []fwk.NodeInfo, found map[string]map[string]int64) {
	ctx := context.Background()
	for _, plugin := range plugins {
		one, ok := plugin.(fwk.ScorePlugin)
		if !ok {
			continue
		}
		if before, ok := plugin.(fwk.PreScorePlugin); ok {
			status := before.PreScore(ctx, state, pod, nodes)
			if status.IsSkip() {
				continue
			}
			if !status.IsSuccess() {
				log.Fatal(status.Message())
			}
		}
		list := make(fwk.NodeScoreList, 0, len(nodes))
		for _, node := range nodes {
			value, status := one.Score(ctx, state, pod, node)
			if !status.IsSuccess() {
				log.Fatal(status.Message())
			}
			list = append(list, fwk.NodeScore{Name: node.Node().Name, Score: value})
		}
		if extensions := one.ScoreExtensions(); extensions != nil {
			extensions.NormalizeScore(ctx, state, pod, list)
		}
		weight := max(weights[plugin.Name()], 1)
		found[plugin.Name()] = map[string]int64{}
		for _, entry := range list {
			found[plugin.Name()][entry.Name] = weight * entry.Score
		}
	}
}
