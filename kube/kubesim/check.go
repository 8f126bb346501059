package kubesim

import (
	"net/netip"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func checkDeployment(d *appsv1.Deployment, before runtime.Object) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if d.Spec.Replicas != nil && *d.Spec.Replicas < 0 {
		errs = append(errs, field.Invalid(spec.Child("replicas"), *d.Spec.Replicas, "must be greater than or equal to 0"))
	}
	template := spec.Child("template")
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	switch {
	case d.Spec.Selector == nil:
		errs = append(errs, field.Required(spec.Child("selector"), ""))
		selector = labels.Nothing()
	case len(d.Spec.Selector.MatchLabels)+len(d.Spec.Selector.MatchExpressions) == 0:
		errs = append(errs, field.Invalid(spec.Child("selector"), d.Spec.Selector, "empty selector is invalid for deployment"))
	case err != nil:
		return append(errs, field.Invalid(spec.Child("selector"), d.Spec.Selector, err.Error()))
	}
	if !selector.Matches(labels.Set(d.Spec.Template.Labels)) {
		errs = append(errs, field.Invalid(template.Child("metadata", "labels"), d.Spec.Template.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, podErrors(&d.Spec.Template.Spec, template.Child("spec"))...)
	if old, ok := before.(*appsv1.Deployment); ok && !reflect.DeepEqual(old.Spec.Selector, d.Spec.Selector) {
		errs = append(errs, field.Invalid(spec.Child("selector"), d.Spec.Selector, "field is immutable"))
	}
	return errs
}

func checkLease(l *coordinationv1.Lease) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if d := l.Spec.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	if n := l.Spec.LeaseTransitions; n != nil && *n < 0 {
		errs = append(errs, field.Invalid(spec.Child("leaseTransitions"), *n, "must be greater than or equal to 0"))
	}
	return errs
}

func checkEndpointSlice(slice *discoveryv1.EndpointSlice, before runtime.Object) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("addressType")
	types := []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	old, isUpdate := before.(*discoveryv1.EndpointSlice)
	switch {
	case isUpdate && old.AddressType != slice.AddressType:
		return field.ErrorList{field.Invalid(path, nil, "field is immutable")}
	case slice.AddressType == "":
		errs = append(errs, field.Required(path, ""))
	case slice.AddressType != types[0] && slice.AddressType != types[1] && slice.AddressType != types[2]:
		errs = append(errs, field.NotSupported(path, slice.AddressType, types))
	}
	for i, e := range slice.Endpoints {
		at := field.NewPath("endpoints").Index(i).Child("addresses")
		if len(e.Addresses) == 0 {
			errs = append(errs, field.Required(at, ""))
		}
		for j, address := range e.Addresses {
			if slice.AddressType == discoveryv1.AddressTypeFQDN {
				continue
			}
			errs = append(errs, addressErrors(address, at.Index(j))...)
		}
	}
	return errs
}

// addressErrors refuses what no endpoint can have.
func addressErrors(text string, path *field.Path) field.ErrorList {
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")}
	case ip.IsLoopback():
		return field.ErrorList{field.Invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")}
	case ip.IsUnspecified():
		return field.ErrorList{field.Invalid(path, text, "may not be unspecified (0.0.0.0 or ::)")}
	case ip.IsLinkLocalUnicast():
		return field.ErrorList{field.Invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")}
	}
	return nil
}

func checkEvent(e *corev1.Event) field.ErrorList {
	if e.InvolvedObject.Namespace != "" && e.InvolvedObject.Namespace != e.Namespace {
		return field.ErrorList{field.Invalid(field.NewPath("involvedObject", "namespace"), e.InvolvedObject.Namespace, "does not match event.namespace")}
	}
	return nil
}
