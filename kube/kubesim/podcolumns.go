package kubesim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

func podColumns() []column {
	// What cannot be decoded was not stored.
	of := func(cell func(now time.Time, pod *corev1.Pod) any) func(time.Time, *unstructured.Unstructured) any {
		return func(now time.Time, o *unstructured.Unstructured) any {
			var pod corev1.Pod
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod); err != nil {
				return "<invalid>"
			}
			return cell(now, &pod)
		}
	}
	return named(
		column{name: "Ready", cell: of(func(now time.Time, pod *corev1.Pod) any {
			return fmt.Sprintf("%d/%d", podState(now, pod).ready, len(pod.Spec.Containers))
		})},
		column{name: "Status", cell: of(func(now time.Time, pod *corev1.Pod) any { return podState(now, pod).reason })},
		column{name: "Restarts", cell: of(func(now time.Time, pod *corev1.Pod) any { return podState(now, pod).restarts })},
		age(), wide(at("IP", "<none>", "status", "podIP")), wide(at("Node", "<none>", "spec", "nodeName")),
		wide(at("Nominated Node", "<none>", "status", "nominatedNodeName")), wide(column{name: "Readiness Gates", cell: of(func(_ time.Time, pod *corev1.Pod) any { return readinessGates(pod) })}),
	)
}

type podSummary struct {
	ready            int
	reason, restarts string
}

// podState sums a pod up as kubectl shows it.
func podState(now time.Time, pod *corev1.Pod) podSummary {
	sum := podSummary{reason: cmp.Or(pod.Status.Reason, string(pod.Status.Phase))}
	restarts, last := 0, time.Time{}
	count := func(c corev1.ContainerStatus) {
		restarts += int(c.RestartCount)
		if ended := c.LastTerminationState.Terminated; ended != nil && ended.FinishedAt.After(last) {
			last = ended.FinishedAt.Time
		}
	}
	initializing := false
	for i, c := range pod.Status.InitContainerStatuses {
		count(c)
		if c.State.Terminated != nil && c.State.Terminated.ExitCode == 0 {
			continue
		}
		initializing = true
		switch reason := stateReason(c.State); {
		case reason != "" && reason != "PodInitializing":
			sum.reason = "Init:" + reason
		default:
			sum.reason = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		break
	}
	if !initializing {
		restarts, last = 0, time.Time{}
		running := false
		for _, c := range slices.Backward(pod.Status.ContainerStatuses) {
			count(c)
			if reason := stateReason(c.State); reason != "" {
				sum.reason = reason
			} else if c.Ready && c.State.Running != nil {
				running = true
				sum.ready++
			}
		}
		if sum.reason == "Completed" && running {
			sum.reason = "NotReady"
			if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
			}) {
				sum.reason = "Running"
			}
		}
	}
	if pod.DeletionTimestamp != nil && pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
		sum.reason = "Terminating"
	}
	sum.restarts = fmt.Sprint(restarts)
	if restarts > 0 && !last.IsZero() {
		sum.restarts = fmt.Sprintf("%d (%s ago)", restarts, sinceText(now, metav1.NewTime(last)))
	}
	return sum
}

// stateReason says why a container does not run.
func stateReason(state corev1.ContainerState) string {
	switch ended := state.Terminated; {
	case state.Waiting != nil && state.Waiting.Reason != "":
		return state.Waiting.Reason
	case ended == nil:
		return ""
	case ended.Reason != "":
		return ended.Reason
	case ended.Signal != 0:
		return fmt.Sprintf("Signal:%d", ended.Signal)
	default:
		return fmt.Sprintf("ExitCode:%d", ended.ExitCode)
	}
}

func readinessGates(pod *corev1.Pod) string {
	if len(pod.Spec.ReadinessGates) == 0 {
		return "<none>"
	}
	passed := 0
	for _, gate := range pod.Spec.ReadinessGates {
		if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		}) {
			passed++
		}
	}
	return fmt.Sprintf("%d/%d", passed, len(pod.Spec.ReadinessGates))
}
