package kubesim

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// prepare fills in what the API server fills in as it stores an object, and judges what is more than its shape. old is nil on
// creation. The caller holds the write lock.
func (s *Server) prepare(sh *shelf, obj, old *unstructured.Unstructured) field.ErrorList {
	if sh.res.custom {
		return checkCustom(sh.res, obj)
	}
	typed, err := typedCopy(sh.res, obj)
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var before runtime.Object
	if old != nil {
		if before, err = typedCopy(sh.res, old); err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
	}
	errs := finalizerErrors(obj)
	switch o := typed.(type) {
	case *corev1.Namespace:
		prepareNamespace(o)
	case *corev1.Pod:
		errs = append(errs, preparePod(o, before)...)
	case *corev1.Secret:
		errs = append(errs, prepareSecret(o, before)...)
	case *corev1.ConfigMap:
		errs = append(errs, checkConfigMap(o, before)...)
	case *corev1.Service:
		errs = append(errs, s.prepareService(sh, o, before)...)
	case *corev1.Event:
		return append(errs, checkEvent(o)...)
	case *appsv1.Deployment:
		return append(errs, checkDeployment(o, before)...)
	case *coordinationv1.Lease:
		return append(errs, checkLease(o)...)
	case *discoveryv1.EndpointSlice:
		return append(errs, checkEndpointSlice(o, before)...)
	default:
		return errs
	}
	full, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return append(errs, field.InternalError(nil, err))
	}
	for _, part := range []string{"spec", "status", "data"} {
		if delete(obj.Object, part); full[part] != nil {
			obj.Object[part] = full[part]
		}
	}
	if ns, ok := typed.(*corev1.Namespace); ok {
		obj.SetLabels(ns.Labels)
	}
	return errs
}

func checkCustom(res *resource, obj *unstructured.Unstructured) field.ErrorList {
	if obj.GetKind() != res.kind {
		return field.ErrorList{field.Invalid(field.NewPath("kind"), obj.GetKind(), "must be "+res.kind)}
	}
	return res.schema().check(obj.Object)
}

// finalizerErrors wants the names of finalizers to be qualified, as those of built-in kinds must be.
func finalizerErrors(obj *unstructured.Unstructured) field.ErrorList {
	var errs field.ErrorList
	for i, name := range obj.GetFinalizers() {
		standard := []string{metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents, string(corev1.FinalizerKubernetes)}
		if !strings.Contains(name, "/") && !slices.Contains(standard, name) {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "finalizers").Index(i), name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

func prepareNamespace(ns *corev1.Namespace) {
	metav1.SetMetaDataLabel(&ns.ObjectMeta, corev1.LabelMetadataName, ns.Name)
	if ns.DeletionTimestamp == nil {
		ns.Status.Phase = corev1.NamespaceActive
		if !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
			ns.Spec.Finalizers = append(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
		}
	}
}

func preparePod(pod *corev1.Pod, before runtime.Object) field.ErrorList {
	spec := field.NewPath("spec")
	if old, ok := before.(*corev1.Pod); ok {
		if !reflect.DeepEqual(fixedSpec(pod), fixedSpec(old)) {
			return field.ErrorList{field.Forbidden(spec, "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")}
		}
		return podErrors(&pod.Spec, spec)
	}
	if pod.Status.Phase == "" {
		pod.Status.Phase = corev1.PodPending
	}
	if pod.Status.QOSClass == "" {
		pod.Status.QOSClass = qosClass(pod)
	}
	setIfNil(&pod.Spec.Priority, 0)
	setIfNil(&pod.Spec.PreemptionPolicy, corev1.PreemptLowerPriority)
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.Key == key || t.Key == "" }) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300))})
		}
	}
	return podErrors(&pod.Spec, spec)
}

// fixedSpec is what of a pod cannot change.
func fixedSpec(pod *corev1.Pod) corev1.PodSpec {
	spec := *pod.Spec.DeepCopy()
	for i := range spec.Containers {
		spec.Containers[i].Image = ""
	}
	for i := range spec.InitContainers {
		spec.InitContainers[i].Image = ""
	}
	spec.ActiveDeadlineSeconds, spec.Tolerations, spec.TerminationGracePeriodSeconds = nil, nil, nil
	return spec
}

// qosClass is Guaranteed when every container has limits for cpu and memory and no smaller requests.
func qosClass(pod *corev1.Pod) corev1.PodQOSClass {
	best, guaranteed := true, len(pod.Spec.Containers) > 0
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, limited := c.Resources.Limits[name]
			request, requested := c.Resources.Requests[name]
			best = best && !limited && !requested
			guaranteed = guaranteed && limited && (!requested || request.Cmp(limit) == 0)
		}
	}
	switch {
	case best:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func podErrors(spec *corev1.PodSpec, path *field.Path) field.ErrorList {
	if len(spec.Containers) == 0 {
		return field.ErrorList{field.Required(path.Child("containers"), "")}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	check := func(list []corev1.Container, path *field.Path) {
		for i, c := range list {
			at := path.Index(i)
			if c.Name == "" {
				errs = append(errs, field.Required(at.Child("name"), ""))
			} else {
				errs = append(errs, labelErrors(c.Name, at.Child("name"))...)
			}
			if seen[c.Name] {
				errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
			}
			seen[c.Name] = true
			if c.Image == "" {
				errs = append(errs, field.Required(at.Child("image"), ""))
			}
		}
	}
	check(spec.Containers, path.Child("containers"))
	check(spec.InitContainers, path.Child("initContainers"))
	policies := []corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}
	if !slices.Contains(policies, spec.RestartPolicy) {
		errs = append(errs, field.NotSupported(path.Child("restartPolicy"), spec.RestartPolicy, policies))
	}
	return errs
}

func labelErrors(name string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(path, name, msg))
	}
	return errs
}

func prepareSecret(secret *corev1.Secret, before runtime.Object) field.ErrorList {
	path := field.NewPath("data")
	errs := keyErrors(slices.Sorted(maps.Keys(secret.Data)), path)
	size := 0
	for _, value := range secret.Data {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(path, "", corev1.MaxSecretSize))
	}
	required := map[corev1.SecretType][]string{
		corev1.SecretTypeTLS:              {corev1.TLSCertKey, corev1.TLSPrivateKeyKey},
		corev1.SecretTypeBasicAuth:        {corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey},
		corev1.SecretTypeDockerConfigJson: {corev1.DockerConfigJsonKey},
		corev1.SecretTypeDockercfg:        {corev1.DockerConfigKey},
		corev1.SecretTypeSSHAuth:          {corev1.SSHAuthPrivateKey},
	}[secret.Type]
	missing := func(key string) bool { _, ok := secret.Data[key]; return !ok }
	// Either half of basic-auth may be left out.
	if secret.Type != corev1.SecretTypeBasicAuth || !slices.ContainsFunc(required, func(key string) bool { return !missing(key) }) {
		for _, key := range required {
			if missing(key) {
				errs = append(errs, field.Required(path.Key(key), ""))
			}
		}
	}
	old, ok := before.(*corev1.Secret)
	if !ok {
		return errs
	}
	if old.Type != secret.Type {
		errs = append(errs, field.Invalid(field.NewPath("type"), secret.Type, "field is immutable"))
	}
	return append(errs, frozenErrors(old.Immutable, secret.Immutable, map[string]bool{"data": !reflect.DeepEqual(old.Data, secret.Data)})...)
}

func checkConfigMap(cm *corev1.ConfigMap, before runtime.Object) field.ErrorList {
	errs := keyErrors(slices.Sorted(maps.Keys(cm.Data)), field.NewPath("data"))
	errs = append(errs, keyErrors(slices.Sorted(maps.Keys(cm.BinaryData)), field.NewPath("binaryData"))...)
	size := 0
	for key, value := range cm.Data {
		size += len(value)
		if _, twice := cm.BinaryData[key]; twice {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(key), key, "duplicate of key present in binaryData"))
		}
	}
	for _, value := range cm.BinaryData {
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(field.NewPath(""), "", corev1.MaxSecretSize))
	}
	if old, ok := before.(*corev1.ConfigMap); ok {
		errs = append(errs, frozenErrors(old.Immutable, cm.Immutable, map[string]bool{"data": !maps.Equal(old.Data, cm.Data), "binaryData": !maps.EqualFunc(old.BinaryData, cm.BinaryData, bytes.Equal)})...)
	}
	return errs
}

func keyErrors(keys []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range keys {
		for _, msg := range validation.IsConfigMapKey(key) {
			errs = append(errs, field.Invalid(path.Key(key), key, msg))
		}
	}
	return errs
}

// frozenErrors keeps what was declared immutable as it is.
func frozenErrors(was, is *bool, changed map[string]bool) field.ErrorList {
	if was == nil || !*was {
		return nil
	}
	const words = "field is immutable when `immutable` is set"
	var errs field.ErrorList
	if is == nil || !*is {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), words))
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if changed[name] {
			errs = append(errs, field.Forbidden(field.NewPath(name), words))
		}
	}
	return errs
}

// warnOf says what a real API server warns of as it stores an object.
func warnOf(obj *unstructured.Unstructured, warn func(string)) {
	kind, _, _ := unstructured.NestedString(obj.Object, "type")
	if obj.GetKind() != "Secret" || kind != string(corev1.SecretTypeTLS) {
		return
	}
	var secret corev1.Secret
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &secret); err != nil {
		return
	}
	if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		warn(fmt.Sprint(err))
	}
}
