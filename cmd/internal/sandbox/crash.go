package sandbox

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// editPods changes the status of a place's gateway pods, as kubelets do.
func (s *Sandbox) editPods(at place, edit func(*corev1.Pod)) error {
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	for _, found := range s.Kube.List(pods, at.namespace) {
		if found.GetLabels()["istio"] != "ingressgateway" {
			continue
		}
		for {
			err := s.editPod(found, at.node, edit)
			if apierrors.IsConflict(err) { // Somebody else has changed it meanwhile.
				if found, err = s.Kube.Get(pods, at.namespace, found.GetName()); err == nil {
					continue
				}
			}
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("change the status of pod %s/%s: %w", at.namespace, found.GetName(), err)
			}
			break
		}
	}
	return nil
}

func (s *Sandbox) editPod(object *unstructured.Unstructured, node string, edit func(*corev1.Pod)) error {
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod); err != nil {
		return err
	}
	if node != "" && pod.Spec.NodeName != node {
		return nil
	}
	edit(&pod)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&pod)
	if err != nil {
		return err
	}
	_, err = s.Kube.Update(&unstructured.Unstructured{Object: content})
	return err
}

// crashed is a pod whose container ends whenever it is started.
func crashed(pod *corev1.Pod) {
	now := metav1.Now()
	setReady(pod, corev1.PodCondition{
		Status: corev1.ConditionFalse, LastTransitionTime: now,
		Reason: "ContainersNotReady", Message: "containers with unready status: [istio-proxy]",
	})
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		ended := &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", FinishedAt: now}
		if c.State.Running != nil {
			ended.StartedAt = c.State.Running.StartedAt
		}
		c.Ready, c.Started = false, new(false)
		c.RestartCount++
		c.LastTerminationState = corev1.ContainerState{Terminated: ended}
		c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off 10s restarting failed container=%s pod=%s_%s(%s)", c.Name, pod.Name, pod.Namespace, pod.UID),
		}}
	}
}

// recovered is a crashed pod whose container runs again. Others stay as they are.
func recovered(pod *corev1.Pod) {
	now := metav1.Now()
	for i := range pod.Status.ContainerStatuses {
		c := &pod.Status.ContainerStatuses[i]
		if c.State.Waiting == nil || c.State.Waiting.Reason != "CrashLoopBackOff" {
			return
		}
		c.Ready, c.Started = true, new(true)
		c.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	}
	setReady(pod, corev1.PodCondition{Status: corev1.ConditionTrue, LastTransitionTime: now})
}

// setReady sets the conditions that follow from the containers.
func setReady(pod *corev1.Pod, condition corev1.PodCondition) {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if c.Type == corev1.PodReady || c.Type == corev1.ContainersReady {
			condition.Type = c.Type
			*c = condition
		}
	}
}
