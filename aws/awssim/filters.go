package awssim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// maxFilterValues is how many values EC2 takes for one filter.
const maxFilterValues = 200

// property gives the values that a filter of EC2 compares with.
type property[T any] func(T) []string

// filtered gives the items that all filters let through: each with a value that
// one of the filter's values matches, in which * and ? stand for characters.
// Every kind can be filtered by its tags.
func filtered[T any](items []T, filters []types.Filter, tags func(T) []types.Tag, properties map[string]property[T]) ([]T, error) {
	out := slices.Clone(items)
	for _, f := range filters {
		name := aws.ToString(f.Name)
		if len(f.Values) > maxFilterValues {
			return nil, apiError("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxFilterValues)
		}
		values, known := properties[name]
		key, byTag := strings.CutPrefix(name, "tag:")
		switch {
		case byTag:
			values = func(item T) []string { return tagValues(tags(item), key) }
		case name == "tag-key":
			values = func(item T) []string { return tagKeys(tags(item)) }
		case !known:
			return nil, apiError("InvalidParameterValue", "The filter '%s' is invalid", shorten(name))
		}
		out = slices.DeleteFunc(out, func(item T) bool {
			return !slices.ContainsFunc(values(item), func(value string) bool {
				return slices.ContainsFunc(f.Values, func(pattern string) bool { return wildcard(pattern, value) })
			})
		})
	}
	return out, nil
}

func tagValues(tags []types.Tag, key string) []string {
	var values []string
	for _, tag := range tags {
		if aws.ToString(tag.Key) == key {
			values = append(values, aws.ToString(tag.Value))
		}
	}
	return values
}

func tagKeys(tags []types.Tag) []string {
	keys := make([]string, len(tags))
	for i, tag := range tags {
		keys[i] = aws.ToString(tag.Key)
	}
	return keys
}

// one makes a property of a field that has one value or none.
func one[T any](field func(T) *string) property[T] {
	return func(item T) []string {
		if value := field(item); value != nil {
			return []string{*value}
		}
		return nil
	}
}

// byID gives the items with the ids that are asked for, all if none is, and
// refuses an id that none has.
func byID[T any](items []T, wanted []string, id func(T) *string, code, what string) ([]T, error) {
	if len(wanted) == 0 {
		return items, nil
	}
	known := map[string]bool{}
	for _, item := range items {
		known[aws.ToString(id(item))] = true
	}
	for _, name := range wanted {
		if !known[name] {
			return nil, missingID(code, what, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(items), func(item T) bool {
		return !slices.Contains(wanted, aws.ToString(id(item)))
	}), nil
}
