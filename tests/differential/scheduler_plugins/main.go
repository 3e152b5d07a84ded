// Puts pods before kube-scheduler's own plugins: clusters as JSON in, for every pod the reasons and scores per node out.
// Nothing is scheduled: the pods of a cluster are each judged against the same bound ones.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodename"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeunschedulable"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
)

type cluster struct {
	Nodes []*v1.Node `json:"nodes"`
	Bound []*v1.Pod  `json:"bound"`
	Pods  []*v1.Pod  `json:"pods"`
}

// verdict is what the plugins say of one pod: scores are normalized and weighted, Elsewhere are nodes that PreFilter left out.
type verdict struct {
	Rejected  string                      `json:"rejected"`
	Elsewhere []string                    `json:"elsewhere"`
	Refused   map[string][]string         `json:"refused"`
	Scores    map[string]map[string]int64 `json:"scores"`
}

// handle is as much of the scheduler as the plugins ask for when they are made.
type handle struct{ fwk.Handle }

func (handle) SharedDRAManager() fwk.SharedDRAManager { return nil }

var weights = map[string]int64{"TaintToleration": 3, "NodeAffinity": 2}

func main() {
	var clusters []cluster
	if err := json.NewDecoder(os.Stdin).Decode(&clusters); err != nil {
		log.Fatal(err)
	}
	plugins := defaults()
	answers := make([][]verdict, 0, len(clusters))
	for _, one := range clusters {
		nodes := infos(one)
		verdicts := make([]verdict, 0, len(one.Pods))
		for _, pod := range one.Pods {
			verdicts = append(verdicts, judge(plugins, nodes, pod))
		}
		answers = append(answers, verdicts)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

func defaults() []fwk.Plugin {
	ctx, h := context.Background(), handle{}
	on := feature.Features{
		EnablePodLevelResources:                       true,
		EnableInPlacePodVerticalScaling:               true,
		EnableInPlacePodLevelResourcesVerticalScaling: true,
	}
	resources := []config.ResourceSpec{{Name: "cpu", Weight: 1}, {Name: "memory", Weight: 1}}
	least := &config.ScoringStrategy{Type: config.LeastAllocated, Resources: resources}
	return []fwk.Plugin{
		must(nodename.New(ctx, nil, h, on)),
		must(nodeunschedulable.New(ctx, nil, h, on)),
		must(tainttoleration.New(ctx, nil, h, on)),
		must(nodeaffinity.New(ctx, &config.NodeAffinityArgs{}, h, on)),
		must(nodeports.New(ctx, nil, h, on)),
		must(noderesources.NewFit(ctx, &config.NodeResourcesFitArgs{ScoringStrategy: least}, h, on)),
		must(noderesources.NewBalancedAllocation(ctx, &config.NodeResourcesBalancedAllocationArgs{Resources: resources}, h, on)),
	}
}

func must(plugin fwk.Plugin, err error) fwk.Plugin {
	if err != nil {
		log.Fatal(err)
	}
	return plugin
}

func infos(one cluster) []fwk.NodeInfo {
	byName := map[string]*framework.NodeInfo{}
	found := make([]fwk.NodeInfo, 0, len(one.Nodes))
	for _, node := range one.Nodes {
		info := framework.NewNodeInfo()
		info.SetNode(node)
		byName[node.Name] = info
		found = append(found, info)
	}
	for _, pod := range one.Bound {
		byName[pod.Spec.NodeName].AddPod(pod)
	}
	return found
}

func judge(plugins []fwk.Plugin, nodes []fwk.NodeInfo, pod *v1.Pod) verdict {
	ctx, state := context.Background(), framework.NewCycleState()
	found := verdict{Elsewhere: []string{}, Refused: map[string][]string{}, Scores: map[string]map[string]int64{}}
	skip := map[string]bool{}
	var only *fwk.PreFilterResult
	for _, plugin := range plugins {
		if before, ok := plugin.(fwk.PreFilterPlugin); ok {
			result, status := before.PreFilter(ctx, state, pod, nodes)
			switch {
			case status.IsSkip():
				skip[plugin.Name()] = true
			case !status.IsSuccess():
				found.Rejected = status.Message()
				return found
			case !result.AllNodes():
				only = only.Merge(result)
			}
		}
	}
	var feasible []fwk.NodeInfo
	for _, node := range nodes {
		name := node.Node().Name
		if !only.AllNodes() && !only.NodeNames.Has(name) {
			found.Elsewhere = append(found.Elsewhere, name)
		} else if reasons := filter(plugins, skip, state, pod, node); reasons != nil {
			found.Refused[name] = reasons
		} else {
			feasible = append(feasible, node)
		}
	}
	if len(feasible) > 0 {
		score(plugins, state, pod, feasible, found.Scores)
	}
	return found
}

func filter(plugins []fwk.Plugin, skip map[string]bool, state fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) []string {
	for _, plugin := range plugins {
		if one, ok := plugin.(fwk.FilterPlugin); ok && !skip[plugin.Name()] {
			if status := one.Filter(context.Background(), state, pod, node); !status.IsSuccess() {
				return status.Reasons()
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
