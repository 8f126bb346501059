package kubesim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The columns are those of kube-apiserver v1.37.

func named(cols ...column) []column {
	return append([]column{{name: "Name", cell: func(_ time.Time, o *unstructured.Unstructured) any { return o.GetName() }}}, cols...)
}

func age() column {
	return column{name: "Age", cell: func(now time.Time, o *unstructured.Unstructured) any {
		return sinceText(now, o.GetCreationTimestamp())
	}}
}

// at shows a field, or something else where it is absent.
func at(name, absent string, path ...string) column {
	return column{name: name, cell: func(_ time.Time, o *unstructured.Unstructured) any { return text(o, absent, path...) }}
}

func wide(c column) column { c.wide = true; return c }

// text reads a scalar.
func text(o *unstructured.Unstructured, absent string, path ...string) string {
	value, found, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil || !found || value == nil || value == "" {
		return absent
	}
	return fmt.Sprint(value)
}

func number(o *unstructured.Unstructured, path ...string) int64 {
	n, _, _ := unstructured.NestedInt64(o.Object, path...)
	return n
}

// objects reads a list of objects.
func objects(o map[string]any, path ...string) []map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(o, path...)
	list, _ := value.([]any)
	var out []map[string]any
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			out = append(out, object)
		}
	}
	return out
}

func namespaceColumns() []column {
	return named(at("Status", "", "status", "phase"), age())
}

func nodeColumns() []column {
	roles := column{name: "Roles", cell: func(_ time.Time, o *unstructured.Unstructured) any {
		var roles []string
		for label := range o.GetLabels() {
			if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok && role != "" {
				roles = append(roles, role)
			}
		}
		slices.Sort(roles)
		return orNone(strings.Join(roles, ","))
	}}
	address := func(name, kind string) column {
		return wide(column{name: name, cell: func(_ time.Time, o *unstructured.Unstructured) any {
			for _, a := range objects(o.Object, "status", "addresses") {
				if a["type"] == kind {
					return a["address"]
				}
			}
			return "<none>"
		}})
	}
	return named(column{name: "Status", cell: func(_ time.Time, o *unstructured.Unstructured) any { return nodeStatus(o) }}, roles, age(),
		at("Version", "", "status", "nodeInfo", "kubeletVersion"), address("Internal-IP", "InternalIP"), address("External-IP", "ExternalIP"),
		wide(at("OS-Image", "<unknown>", "status", "nodeInfo", "osImage")), wide(at("Kernel-Version", "<unknown>", "status", "nodeInfo", "kernelVersion")),
		wide(at("Container-Runtime", "<unknown>", "status", "nodeInfo", "containerRuntimeVersion")))
}

func nodeStatus(o *unstructured.Unstructured) string {
	status := "Unknown"
	for _, c := range objects(o.Object, "status", "conditions") {
		if c["type"] == "Ready" {
			status = "NotReady"
			if c["status"] == "True" {
				status = "Ready"
			}
		}
	}
	if off, _, _ := unstructured.NestedBool(o.Object, "spec", "unschedulable"); off {
		status += ",SchedulingDisabled"
	}
	return status
}

func serviceColumns() []column {
	return named(at("Type", "", "spec", "type"), at("Cluster-IP", "<none>", "spec", "clusterIP"),
		column{name: "External-IP", cell: func(_ time.Time, o *unstructured.Unstructured) any { return externalIP(o) }},
		column{name: "Port(s)", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			var ports []string
			for _, p := range objects(o.Object, "spec", "ports") {
				port := fmt.Sprint(p["port"])
				if p["nodePort"] != nil {
					port += ":" + fmt.Sprint(p["nodePort"])
				}
				ports = append(ports, port+"/"+fmt.Sprint(p["protocol"]))
			}
			return orNone(strings.Join(ports, ","))
		}}, age(), wide(selectorColumn("spec", "selector")))
}

func externalIP(o *unstructured.Unstructured) string {
	ips, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "externalIPs")
	switch text(o, "", "spec", "type") {
	case "LoadBalancer":
		for _, in := range objects(o.Object, "status", "loadBalancer", "ingress") {
			for _, key := range []string{"ip", "hostname"} {
				if value, ok := in[key].(string); ok && value != "" {
					ips = append(ips, value)
				}
			}
		}
		if len(ips) == 0 {
			return "<pending>"
		}
	case "ExternalName":
		return text(o, "<none>", "spec", "externalName")
	}
	return orNone(strings.Join(ips, ","))
}

func selectorColumn(path ...string) column {
	return column{name: "Selector", cell: func(_ time.Time, o *unstructured.Unstructured) any {
		set, _, _ := unstructured.NestedStringMap(o.Object, path...)
		return orNone(metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: set}))
	}}
}

func orNone(s string) string {
	if s == "" {
		return "<none>"
	}
	return s
}

func secretColumns() []column { return named(at("Type", "", "type"), dataColumn("data"), age()) }

func configMapColumns() []column { return named(dataColumn("data", "binaryData"), age()) }

func dataColumn(fields ...string) column {
	return column{name: "Data", kind: "string", cell: func(_ time.Time, o *unstructured.Unstructured) any {
		n := int64(0)
		for _, f := range fields {
			data, _ := o.Object[f].(map[string]any)
			n += int64(len(data))
		}
		return n
	}}
}

func endpointsColumns() []column {
	return named(column{name: "Endpoints", cell: func(_ time.Time, o *unstructured.Unstructured) any {
		var all []string
		for _, subset := range objects(o.Object, "subsets") {
			for _, p := range objects(subset, "ports") {
				for _, a := range objects(subset, "addresses") {
					all = append(all, fmt.Sprintf("%v:%v", a["ip"], p["port"]))
				}
			}
		}
		return atMost(all, 3)
	}}, age())
}

// atMost joins a list and counts what there is no room for.
func atMost(list []string, limit int) string {
	if len(list) > limit {
		return fmt.Sprintf("%s + %d more...", strings.Join(list[:limit], ","), len(list)-limit)
	}
	return orNone(strings.Join(list, ","))
}

func eventColumns() []column {
	seen := func(name, field string) column {
		return column{name: name, cell: func(now time.Time, o *unstructured.Unstructured) any {
			for _, path := range []string{field, "eventTime", "firstTimestamp"} {
				if then, err := time.Parse(time.RFC3339, text(o, "", path)); err == nil {
					return sinceText(now, metav1.NewTime(then))
				}
			}
			return "<unknown>"
		}}
	}
	return []column{
		seen("Last Seen", "lastTimestamp"), at("Type", "", "type"), at("Reason", "", "reason"),
		{name: "Object", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			return strings.ToLower(text(o, "", "involvedObject", "kind")) + "/" + text(o, "", "involvedObject", "name")
		}},
		wide(at("Subobject", "", "involvedObject", "fieldPath")), wide(column{name: "Source", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			source := []string{text(o, text(o, "", "reportingComponent"), "source", "component"), text(o, text(o, "", "reportingInstance"), "source", "host")}
			return strings.Join(slices.DeleteFunc(source, func(s string) bool { return s == "" }), ", ")
		}}), at("Message", "", "message"),
		wide(seen("First Seen", "firstTimestamp")), wide(column{name: "Count", cell: func(_ time.Time, o *unstructured.Unstructured) any { return max(1, number(o, "count")) }}),
		wide(column{name: "Name", cell: func(_ time.Time, o *unstructured.Unstructured) any { return o.GetName() }}),
	}
}

func deploymentColumns() []column {
	containers := func(name, field string) column {
		return wide(column{name: name, cell: func(_ time.Time, o *unstructured.Unstructured) any {
			var values []string
			for _, c := range objects(o.Object, "spec", "template", "spec", "containers") {
				values = append(values, fmt.Sprint(c[field]))
			}
			return strings.Join(values, ",")
		}})
	}
	count := func(name, field string) column {
		return column{name: name, kind: "string", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			return number(o, "status", field)
		}}
	}
	return named(column{name: "Ready", cell: func(_ time.Time, o *unstructured.Unstructured) any {
		return fmt.Sprintf("%d/%d", number(o, "status", "readyReplicas"), number(o, "spec", "replicas"))
	}}, count("Up-to-date", "updatedReplicas"), count("Available", "availableReplicas"), age(),
		containers("Containers", "name"), containers("Images", "image"), wide(selectorColumn("spec", "selector", "matchLabels")))
}

func replicaSetColumns() []column {
	count := func(name string, path ...string) column {
		return column{name: name, kind: "integer", cell: func(_ time.Time, o *unstructured.Unstructured) any { return number(o, path...) }}
	}
	return named(count("Desired", "spec", "replicas"), count("Current", "status", "replicas"), count("Ready", "status", "readyReplicas"), age())
}

func leaseColumns() []column {
	return named(at("Holder", "", "spec", "holderIdentity"), age())
}

func endpointSliceColumns() []column {
	return named(at("AddressType", "", "addressType"),
		column{name: "Ports", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			var ports []string
			for _, p := range objects(o.Object, "ports") {
				ports = append(ports, fmt.Sprint(p["port"]))
			}
			return atMost(ports, 3)
		}},
		column{name: "Endpoints", cell: func(_ time.Time, o *unstructured.Unstructured) any {
			var addresses []string
			for _, e := range objects(o.Object, "endpoints") {
				list, _, _ := unstructured.NestedStringSlice(e, "addresses")
				addresses = append(addresses, list...)
			}
			return atMost(addresses, 3)
		}}, age())
}
