package aws

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/istio-cutover/cutover/model"
)

// command renders a call as the AWS CLI's line for it, the Region included: the
// CLI does not look for it in all places where the SDK does. What pages through
// answers is left out: the CLI does that by itself.
func command(operation, region string, input any) string {
	service := "elbv2"
	if operation == "GetCallerIdentity" {
		service = "sts"
	}
	words := []string{"aws", service, kebab(operation)}
	v := reflect.Indirect(reflect.ValueOf(input))
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "PageSize" || field.Name == "Marker" {
			continue
		}
		if value, ok := plain(v.Field(i)); ok {
			words = append(words, "--"+kebab(field.Name))
			words = append(words, arguments(value)...)
		}
	}
	words = append(words, "--region", model.ShellQuote(region))
	return model.Line(strings.Join(words, " "))
}

// arguments gives the CLI's words for a value: lists of scalars one by one,
// everything with a structure as JSON.
func arguments(value any) []string {
	list, ok := value.([]any)
	if !ok {
		return []string{argument(value)}
	}
	words := make([]string, 0, len(list))
	for _, item := range list {
		if _, structured := item.(map[string]any); structured {
			return []string{argument(value)}
		}
		words = append(words, argument(item))
	}
	return words
}

func argument(value any) string {
	switch value.(type) {
	case map[string]any, []any:
		// The value came from plain, which makes nothing that has no JSON.
		text, err := model.CanonicalOf(value)
		if err != nil {
			return model.ShellQuote(err.Error())
		}
		return model.ShellQuote(string(text))
	default:
		return model.ShellQuote(fmt.Sprint(value))
	}
}

// kebab turns the API's names into the CLI's: "TargetGroupArns" into
// "target-group-arns".
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 {
				b.WriteByte('-')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
