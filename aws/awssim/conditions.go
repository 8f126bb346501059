package awssim

import (
	"net/netip"
	"regexp"
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

// acceptCondition holds one condition to the form of its field.
func acceptCondition(field string, c types.RuleCondition) (types.RuleCondition, error) {
	if err := checkConfigs(field, c); err != nil {
		return c, err
	}
	switch field {
	case fieldHost:
		if c.HostHeaderConfig == nil && len(c.Values) > 0 {
			c.HostHeaderConfig = &types.HostHeaderConditionConfig{Values: c.Values}
		} else if c.HostHeaderConfig != nil {
			c.Values = c.HostHeaderConfig.Values
		}
	case fieldPath:
		if c.PathPatternConfig == nil && len(c.Values) > 0 {
			c.PathPatternConfig = &types.PathPatternConditionConfig{Values: c.Values}
		} else if c.PathPatternConfig != nil {
			c.Values = c.PathPatternConfig.Values
		}
	case fieldHeader:
		if err := checkHeaderName(c.HttpHeaderConfig); err != nil {
			return c, err
		}
	}
	texts, regexes := conditionTexts(c), append(slices.Clone(c.RegexValues), configRegexes(c)...)
	if len(texts)+len(regexes) == 0 {
		return c, invalid("A condition value must be specified for '%s'", field)
	}
	if field == fieldQuery && len(regexes) == 0 {
		return c, checkPairs(c.QueryStringConfig.Values)
	}
	for _, text := range texts {
		if err := checkText(field, text); err != nil {
			return c, err
		}
	}
	for _, text := range regexes {
		if field != fieldHost && field != fieldPath && field != fieldHeader {
			return c, invalid("Regular expressions are not supported for conditions of type '%s'", field)
		}
		if err := checkRegex(text, maxConditionText); err != nil {
			return c, err
		}
	}
	return c, nil
}

// checkConfigs sees to it that a condition says what it compares with in one
// place, the one of its field.
func checkConfigs(field string, c types.RuleCondition) error {
	configs := []struct {
		field, name string
		given       bool
	}{
		{fieldHost, "HostHeaderConfig", c.HostHeaderConfig != nil},
		{fieldPath, "PathPatternConfig", c.PathPatternConfig != nil},
		{fieldHeader, "HttpHeaderConfig", c.HttpHeaderConfig != nil},
		{fieldMethod, "HttpRequestMethodConfig", c.HttpRequestMethodConfig != nil},
		{fieldQuery, "QueryStringConfig", c.QueryStringConfig != nil},
		{fieldSource, "SourceIpConfig", c.SourceIpConfig != nil},
	}
	known := false
	for _, config := range configs {
		switch {
		case config.field == field && config.given && len(c.Values) > 0:
			return invalid("You cannot provide both Values and '%s' for a condition of type '%s'", config.name, field)
		case config.field == field:
			known = true
		case config.given:
			return invalid("You cannot provide '%s' for a condition of type '%s'", config.name, shorten(field))
		}
	}
	if !known {
		return invalid("Condition field '%s' must be one of '[%s]'", shorten(field),
			strings.Join([]string{fieldHeader, fieldMethod, fieldHost, fieldPath, fieldQuery, fieldSource}, ", "))
	}
	if len(c.Values) > 0 && field != fieldHost && field != fieldPath {
		return invalid("You cannot provide Values for a condition of type '%s'", field)
	}
	return nil
}

func checkHeaderName(c *types.HttpHeaderConditionConfig) error {
	name := ""
	if c != nil {
		name = aws.ToString(c.HttpHeaderName)
	}
	switch {
	case name == "":
		return invalid("A condition on '%s' needs the name of a header", fieldHeader)
	case len(name) > 40 || !only(name, letters+digits+"!#$%&'*+-.^_`|~"):
		return invalid("The HTTP header name '%s' is not valid", shorten(name))
	case strings.EqualFold(name, "host"):
		return invalid("The HTTP header name '%s' cannot be used, use a condition of type '%s'", name, fieldHost)
	}
	return nil
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	// maxConditionText is how long a value of a condition can be.
	maxConditionText = 128
)

// only says whether a text has no other characters than those allowed.
func only(text, allowed string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return !strings.ContainsRune(allowed, c) })
}

// checkText holds a value of a condition to the length and the characters that
// AWS documents for its field.
func checkText(field, text string) error {
	if len(text) > maxConditionText {
		return invalid("Condition value '%s' contains more than %d characters", shorten(text), maxConditionText)
	}
	if text == "" {
		return invalid("A condition value of '%s' is empty", field)
	}
	valid := true
	switch field {
	case fieldHost:
		dot := strings.LastIndexByte(text, '.')
		if dot < 0 || !only(text[dot+1:], letters+"*?") {
			return invalid("Condition value '%s' must include a '.' and only letters after the last one", text)
		}
		valid = only(text, letters+digits+"-.*?")
	case fieldPath:
		valid = only(text, letters+digits+"_-.$/~\"'@:+&*?")
	case fieldMethod:
		valid = len(text) <= 40 && only(text, letters[26:]+"-_")
	case fieldSource:
		_, err := netip.ParsePrefix(text)
		valid = err == nil
	}
	if !valid {
		return invalid("Condition value '%s' is not valid for '%s'", shorten(text), field)
	}
	return nil
}

func checkPairs(pairs []types.QueryStringKeyValuePair) error {
	for _, pair := range pairs {
		if pair.Value == nil {
			return invalid("A value must be specified for '%s'", fieldQuery)
		}
		if len(*pair.Value) > maxConditionText || len(aws.ToString(pair.Key)) > maxConditionText {
			return invalid("Condition value '%s' contains more than %d characters", shorten(*pair.Value), maxConditionText)
		}
	}
	return nil
}

// checkRegex holds a regular expression to a length and to be one. What Go cannot
// read is refused, as the data plane could not follow it.
func checkRegex(text string, most int) error {
	if text == "" || len(text) > most {
		return invalid("The regular expression '%s' must have between 1 and %d characters", shorten(text), most)
	}
	if _, err := regexp.Compile(text); err != nil {
		return invalid("The regular expression '%s' is not valid", shorten(text))
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
