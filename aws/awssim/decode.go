package awssim

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxDepth bounds the nesting of a request's parameter names. The deepest one
// of ELBv2 has ten parts.
const maxDepth = 24

// param is one node of the tree that the dotted parameter names of the AWS
// query protocol spell out: Actions.member.1.Type=forward.
type param struct {
	value    string
	children map[string]*param
}

// parseParams turns the parameters of a request into a tree. A name that is
// given more than once counts with its first value.
func parseParams(form map[string][]string) (*param, error) {
	root := &param{}
	for name, values := range form {
		parts := strings.Split(name, ".")
		if len(parts) > maxDepth || len(values) == 0 {
			return nil, apiError("MalformedInput", "The parameter %q is nested too deeply", shorten(name))
		}
		node := root
		for _, part := range parts {
			if node.children == nil {
				node.children = map[string]*param{}
			}
			next := node.children[part]
			if next == nil {
				next = &param{}
				node.children[part] = next
			}
			node = next
		}
		node.value = values[0]
	}
	return root, nil
}

// decode fills in the struct that input points to from the parameters. Names
// that the struct does not have are ignored.
func (d *dialect) decode(root *param, input any) error {
	return d.decodeStruct(root, reflect.ValueOf(input).Elem(), "")
}

func (d *dialect) decodeStruct(node *param, dst reflect.Value, path string) error {
	t := dst.Type()
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		name := d.parameter(t, field.Name)
		child := node.children[name]
		if child == nil {
			continue
		}
		if err := d.decodeValue(child, dst.Field(i), join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (d *dialect) decodeValue(node *param, dst reflect.Value, path string) error {
	switch dst.Kind() {
	case reflect.Pointer:
		value := reflect.New(dst.Type().Elem())
		if err := d.decodeValue(node, value.Elem(), path); err != nil {
			return err
		}
		dst.Set(value)
		return nil
	case reflect.Struct:
		if dst.Type() == reflect.TypeFor[time.Time]() {
			at, err := time.Parse(time.RFC3339, node.value)
			if err != nil {
				return malformed(path, node.value, "a timestamp")
			}
			dst.Set(reflect.ValueOf(at))
			return nil
		}
		return d.decodeStruct(node, dst, path)
	case reflect.Slice:
		return d.decodeList(node, dst, path)
	case reflect.Map:
		return decodeMap(node, dst, path)
	case reflect.String:
		dst.SetString(node.value)
	case reflect.Bool:
		value, err := strconv.ParseBool(strings.ToLower(node.value))
		if err != nil {
			return malformed(path, node.value, "a Boolean")
		}
		dst.SetBool(value)
	case reflect.Int32, reflect.Int64:
		value, err := strconv.ParseInt(node.value, 10, dst.Type().Bits())
		if err != nil {
			return malformed(path, node.value, "an integer")
		}
		dst.SetInt(value)
	default:
		return apiError("MalformedInput", "The parameter %s cannot be read", path)
	}
	return nil
}

// decodeList reads PATH.member.N, or PATH.N in the flat form. An empty list is
// sent as "PATH=" and differs from one that is absent, so it becomes a list of
// length 0 that is not nil.
func (d *dialect) decodeList(node *param, dst reflect.Value, path string) error {
	if !d.flat {
		node, path = node.children["member"], path+".member"
	}
	members := numbered(node)
	list := reflect.MakeSlice(dst.Type(), len(members), len(members))
	for i, member := range members {
		if err := d.decodeValue(member, list.Index(i), fmt.Sprintf("%s.%d", path, i+1)); err != nil {
			return err
		}
	}
	dst.Set(list)
	return nil
}

// decodeMap reads PATH.entry.N.key and PATH.entry.N.value.
func decodeMap(node *param, dst reflect.Value, path string) error {
	entries := reflect.MakeMap(dst.Type())
	for _, entry := range numbered(node.children["entry"]) {
		key, value := entry.children["key"], entry.children["value"]
		if key == nil || value == nil {
			return apiError("MalformedInput", "An entry of %s has no key or no value", path)
		}
		entries.SetMapIndex(reflect.ValueOf(key.value), reflect.ValueOf(value.value))
	}
	dst.Set(entries)
	return nil
}

// numbered gives the children of a list node in the order of their numbers.
func numbered(node *param) []*param {
	if node == nil {
		return nil
	}
	type member struct {
		number int
		node   *param
	}
	var members []member
	for name, child := range node.children {
		if n, err := strconv.Atoi(name); err == nil && n > 0 {
			members = append(members, member{n, child})
		}
	}
	slices.SortFunc(members, func(a, b member) int { return a.number - b.number })
	nodes := make([]*param, len(members))
	for i, m := range members {
		nodes[i] = m.node
	}
	return nodes
}

func malformed(path, value, want string) error {
	return apiError("MalformedInput", "The value %q of %s is not %s", shorten(value), path, want)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// shorten keeps what comes from outside short in an error message.
func shorten(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
