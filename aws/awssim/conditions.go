package awssim

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	fieldHost   = "host-header"
	fieldPath   = "path-pattern"
	fieldHeader = "http-header"
	fieldMethod = "http-request-method"
	fieldQuery  = "query-string"
	fieldSource = "source-ip"
)

// acceptConditions holds the conditions of a rule to AWS's rules and gives
// them as AWS reports them: the values of host and path conditions in both
// forms. Everything else stays as it was sent.
func acceptConditions(given []types.RuleCondition, limits map[string]int) ([]types.RuleCondition, error) {
	if len(given) == 0 {
		return nil, invalid("A rule must have at least one condition")
	}
	accepted := make([]types.RuleCondition, len(given))
	seen := map[string]bool{}
	values, wildcards := 0, 0
	for i, c := range given {
		field := aws.ToString(c.Field)
		if seen[field] && field != fieldHeader && field != fieldQuery {
			return nil, invalid("A rule can have only one '%s' condition", shorten(field))
		}
		seen[field] = true
		var err error
		if accepted[i], err = acceptCondition(field, c); err != nil {
			return nil, err
		}
		texts := conditionTexts(accepted[i])
		values += len(texts)
		for _, text := range texts {
			if field != fieldSource && field != fieldMethod {
				wildcards += strings.Count(text, "*") + strings.Count(text, "?")
			}
		}
		values += len(c.RegexValues) + len(configRegexes(c))
	}
	if most := limits[limitValues]; values > most {
		return nil, invalid("A rule can only have '%d' condition values", most)
	}
	if most := limits[limitWildcards]; wildcards > most {
		return nil, invalid("A rule can only have '%d' condition wildcards", most)
	}
	return accepted, nil
}

func acceptCondition(field string, c types.RuleCondition) (types.RuleCondition, error) {
	switch field {
	case fieldHost:
		if c.HostHeaderConfig == nil {
			if len(c.Values) > 0 {
				c.HostHeaderConfig = &types.HostHeaderConditionConfig{Values: c.Values}
			}
		} else if err := sameValues(field, &c.Values, c.HostHeaderConfig.Values); err != nil {
			return c, err
		}
	case fieldPath:
		if c.PathPatternConfig == nil {
			if len(c.Values) > 0 {
				c.PathPatternConfig = &types.PathPatternConditionConfig{Values: c.Values}
			}
		} else if err := sameValues(field, &c.Values, c.PathPatternConfig.Values); err != nil {
			return c, err
		}
	case fieldHeader:
		if c.HttpHeaderConfig == nil || aws.ToString(c.HttpHeaderConfig.HttpHeaderName) == "" {
			return c, invalid("A condition on '%s' needs the name of a header", field)
		}
	case fieldMethod, fieldQuery, fieldSource:
	default:
		return c, invalid("Condition field '%s' must be one of '[%s]'", shorten(field),
			strings.Join([]string{fieldHeader, fieldMethod, fieldHost, fieldPath, fieldQuery, fieldSource}, ", "))
	}
	texts := conditionTexts(c)
	if len(texts)+len(c.RegexValues)+len(configRegexes(c)) == 0 {
		return c, invalid("A condition value must be specified for '%s'", field)
	}
	for _, text := range texts {
		if len(text) > 128 {
			return c, invalid("Condition value '%s' contains more than 128 characters", shorten(text))
		}
		if text == "" && field != fieldQuery {
			return c, invalid("A condition value of '%s' is empty", field)
		}
		if field == fieldSource {
			if _, err := netip.ParsePrefix(text); err != nil {
				return c, invalid("Condition value '%s' is not a valid CIDR block", shorten(text))
			}
		}
	}
	return c, nil
}

// sameValues takes the values of a config into the older form beside it, and
// refuses two that differ.
func sameValues(field string, values *[]string, config []string) error {
	if len(*values) > 0 && len(config) > 0 && !slices.Equal(*values, config) {
		return invalid("The values of the '%s' condition are given in two forms that differ", field)
	}
	if len(config) > 0 {
		*values = config
	}
	return nil
}

// conditionTexts gives the values that a condition compares with.
func conditionTexts(c types.RuleCondition) []string {
	switch aws.ToString(c.Field) {
	case fieldHost, fieldPath:
		return c.Values
	case fieldHeader:
		if c.HttpHeaderConfig != nil {
			return c.HttpHeaderConfig.Values
		}
	case fieldMethod:
		if c.HttpRequestMethodConfig != nil {
			return c.HttpRequestMethodConfig.Values
		}
	case fieldSource:
		if c.SourceIpConfig != nil {
			return c.SourceIpConfig.Values
		}
	case fieldQuery:
		if c.QueryStringConfig != nil {
			texts := make([]string, len(c.QueryStringConfig.Values))
			for i, pair := range c.QueryStringConfig.Values {
				texts[i] = aws.ToString(pair.Key) + aws.ToString(pair.Value)
			}
			return texts
		}
	}
	return nil
}

// configRegexes gives the regular expressions in a condition's config; they
// can also stand in the condition itself.
func configRegexes(c types.RuleCondition) []string {
	switch {
	case c.HostHeaderConfig != nil:
		return c.HostHeaderConfig.RegexValues
	case c.PathPatternConfig != nil:
		return c.PathPatternConfig.RegexValues
	case c.HttpHeaderConfig != nil:
		return c.HttpHeaderConfig.RegexValues
	default:
		return nil
	}
}
