package main

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

const pollInterval = 50 * time.Millisecond

// crds holds the custom resource definitions. istio.yaml is the file
// kubernetes/customresourcedefinitions.gen.yaml of the module istio.io/api; a
// test in kube/kubeapitest keeps it equal to the version in go.mod.
//
//go:embed crds/*.yaml
var crds embed.FS

// bootstrap waits for the API server, creates the custom resource definitions
// and the viewer's permissions, and returns when all of it is served.
func bootstrap(ctx context.Context, kubeconfig string) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	cfg.QPS = -1 // The client's own pace would cost seconds here.
	core, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	definitions, err := readDefinitions()
	if err != nil {
		return err
	}
	if err := poll(ctx, "/readyz", func(ctx context.Context) error {
		return core.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}); err != nil {
		return err
	}
	if err := createDefinitions(ctx, cfg, definitions); err != nil {
		return err
	}
	if err := bindViewer(ctx, core); err != nil {
		return err
	}
	return poll(ctx, "discovery of the custom resources", func(ctx context.Context) error {
		return served(ctx, core.RESTClient(), definitions)
	})
}

func readDefinitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	paths, err := fs.Glob(crds, "crds/*.yaml")
	if err != nil {
		return nil, err
	}
	var all []*apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		content, err := crds.ReadFile(path)
		if err != nil {
			return nil, err
		}
		documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.UnmarshalStrict(document, crd); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, crd)
		}
	}
	return all, nil
}

func createDefinitions(ctx context.Context, cfg *rest.Config, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	client, err := apiextensions.NewForConfig(cfg)
	if err != nil {
		return err
	}
	for _, crd := range definitions {
		_, err := client.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, crd, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: %w", crd.Name, err)
		}
	}
	return poll(ctx, "established custom resource definitions", func(ctx context.Context) error {
		list, err := client.ApiextensionsV1().CustomResourceDefinitions().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		established := map[string]bool{}
		for i := range list.Items {
			for _, condition := range list.Items[i].Status.Conditions {
				if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
					established[list.Items[i].Name] = true
				}
			}
		}
		for _, crd := range definitions {
			if !established[crd.Name] {
				return fmt.Errorf("%s is not established", crd.Name)
			}
		}
		return nil
	})
}

// served says whether discovery lists every served version of the definitions
// and their collections answer: both come a moment after they are established.
func served(ctx context.Context, client rest.Interface, definitions []*apiextensionsv1.CustomResourceDefinition) error {
	const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	body, err := client.Get().AbsPath("/apis").SetHeader("Accept", aggregated).DoRaw(ctx)
	if err != nil {
		return err
	}
	var groups struct {
		Items []struct {
			metav1.ObjectMeta `json:"metadata"`
			Versions          []struct {
				Version   string `json:"version"`
				Resources []struct {
					Resource string `json:"resource"`
				} `json:"resources"`
			} `json:"versions"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &groups); err != nil {
		return err
	}
	listed := map[string]bool{}
	for _, group := range groups.Items {
		for _, version := range group.Versions {
			for _, resource := range version.Resources {
				listed["/apis/"+group.Name+"/"+version.Version+"/"+resource.Resource] = true
			}
		}
	}
	for _, crd := range definitions {
		for _, version := range crd.Spec.Versions {
			if !version.Served {
				continue
			}
			path := "/apis/" + crd.Spec.Group + "/" + version.Name + "/" + crd.Spec.Names.Plural
			if !listed[path] {
				return fmt.Errorf("%s is not in discovery", path)
			}
			if err := client.Get().AbsPath(path).Param("limit", "1").Do(ctx).Error(); err != nil {
				return err
			}
		}
	}
	return nil
}

// bindViewer lets the viewer read what the ClusterRole "view" covers, and
// Istio's resources. Neither includes Secrets.
func bindViewer(ctx context.Context, client kubernetes.Interface) error {
	const istio = "kubeapi:istio-view"
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   istio,
			Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"},
		},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io"},
			Resources: []string{rbacv1.ResourceAll},
			Verbs:     []string{"get", "list", "watch"},
		}},
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	// A controller, which does not run here, fills "view" from the roles that
	// are labelled for it. Until then it is empty, so they are bound as well.
	for _, name := range []string{"view", "system:aggregate-to-view", istio} {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "kubeapi:viewer:" + name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: viewerUser}},
		}
		if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return nil
}

// poll tries until condition gives no error; when ctx ends first, the last
// error says what was missing.
func poll(ctx context.Context, what string, condition func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		last = condition(ctx)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w: %w", what, err, last)
	}
	return nil
}
