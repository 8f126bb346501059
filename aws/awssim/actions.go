package awssim

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	maxActions      = 5 // of one rule
	maxRedirectText = 128
	maxMessageBody  = 1024
)

// acceptActions holds the actions of a rule of l to AWS's rules and gives them
// as AWS keeps them: in order, numbered, defaults filled in, forwards in the
// form with a list. before is the rule that is being changed, or nil.
func (s *Sim) acceptActions(l *listener, given []types.Action, before *rule) ([]types.Action, error) {
	if len(given) == 0 {
		return nil, invalid("At least one action must be specified")
	}
	if len(given) > maxActions {
		return nil, apiError("TooManyActions", "The maximum number of actions per rule is '%d'", maxActions)
	}
	actions := clone(given)
	if err := orderActions(actions); err != nil {
		return nil, err
	}
	for i := range actions {
		a := &actions[i]
		last := i == len(actions)-1
		if err := checkActionConfigs(a); err != nil {
			return nil, err
		}
		var err error
		switch a.Type {
		case types.ActionTypeEnumForward:
			err = s.acceptForward(l, a, before)
		case types.ActionTypeEnumRedirect:
			err = acceptRedirect(l, a.RedirectConfig)
		case types.ActionTypeEnumFixedResponse:
			err = acceptFixedResponse(a.FixedResponseConfig)
		case types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumAuthenticateCognito, types.ActionTypeEnumJwtValidation:
			if last {
				return nil, badAction("The last action must be a forward, redirect or fixed-response action")
			}
			last = true // it stands where it may
			err = acceptAuthentication(l, a, before)
		default:
			err = invalid("Action type '%s' must be one of '%v'", shorten(string(a.Type)), a.Type.Values())
		}
		if err != nil {
			return nil, err
		}
		if !last {
			return nil, badAction("A %s action must be the last one", a.Type)
		}
		if !l.lb.isApplication() && a.Type != types.ActionTypeEnumForward {
			return nil, badAction("Action type '%s' is not supported by a network load balancer", a.Type)
		}
	}
	return actions, nil
}

// checkActionConfigs sees to it that an action has the configuration of its type
// and no other. A forward may have its target group beside it.
func checkActionConfigs(a *types.Action) error {
	for _, config := range []struct {
		of    types.ActionTypeEnum
		name  string
		given bool
	}{
		{types.ActionTypeEnumAuthenticateCognito, "AuthenticateCognitoConfig", a.AuthenticateCognitoConfig != nil},
		{types.ActionTypeEnumAuthenticateOidc, "AuthenticateOidcConfig", a.AuthenticateOidcConfig != nil},
		{types.ActionTypeEnumFixedResponse, "FixedResponseConfig", a.FixedResponseConfig != nil},
		{types.ActionTypeEnumForward, "ForwardConfig", a.ForwardConfig != nil || a.TargetGroupArn != nil},
		{types.ActionTypeEnumJwtValidation, "JwtValidationConfig", a.JwtValidationConfig != nil},
		{types.ActionTypeEnumRedirect, "RedirectConfig", a.RedirectConfig != nil},
	} {
		if config.of == a.Type && !config.given && a.Type != types.ActionTypeEnumForward {
			return badAction("For actions of type '%s', you must specify the following fields: '%s'", a.Type, config.name)
		}
		if config.of != a.Type && config.given {
			return badAction("For actions of type '%s', you cannot specify the following fields: '%s'", shorten(string(a.Type)), config.name)
		}
	}
	return nil
}

// orderActions sorts and numbers actions. Where there are several, each must
// say its place.
func orderActions(actions []types.Action) error {
	if len(actions) == 1 {
		if actions[0].Order == nil {
			actions[0].Order = new(int32(1))
		}
		return nil
	}
	seen := map[int32]bool{}
	for _, a := range actions {
		order := aws.ToInt32(a.Order)
		if order < 1 || order > maxPriority || seen[order] {
			return badAction("Each of several actions needs an order of its own between 1 and %d", maxPriority)
		}
		seen[order] = true
	}
	slices.SortFunc(actions, func(a, b types.Action) int { return int(*a.Order - *b.Order) })
	return nil
}

func acceptRedirect(l *listener, c *types.RedirectActionConfig) error {
	if c.StatusCode != types.RedirectActionStatusCodeEnumHttp301 && c.StatusCode != types.RedirectActionStatusCodeEnumHttp302 {
		return badAction("The status code of a redirect must be HTTP_301 or HTTP_302")
	}
	c.Protocol = cmp.Or(c.Protocol, new("#{protocol}"))
	c.Host = cmp.Or(c.Host, new("#{host}"))
	c.Port = cmp.Or(c.Port, new("#{port}"))
	c.Path = cmp.Or(c.Path, new("/#{path}"))
	c.Query = cmp.Or(c.Query, new("#{query}"))
	if !slices.Contains([]string{"HTTP", "HTTPS", "#{protocol}"}, *c.Protocol) {
		return badAction("The protocol of a redirect must be HTTP, HTTPS or #{protocol}")
	}
	if l.view.Protocol == types.ProtocolEnumHttps && *c.Protocol == "HTTP" {
		return badAction("You cannot redirect HTTPS to HTTP")
	}
	port, err := strconv.Atoi(*c.Port)
	if *c.Port != "#{port}" && (err != nil || port < 1 || port > 65535) {
		return badAction("The port of a redirect must be between 1 and 65535 or #{port}")
	}
	if *c.Host == "" || len(*c.Host) > maxRedirectText || len(*c.Path) > maxRedirectText || len(*c.Query) > maxRedirectText {
		return badAction("Host, path and query of a redirect can have at most %d characters", maxRedirectText)
	}
	if !strings.HasPrefix(*c.Path, "/") {
		return badAction("The path of a redirect must start with a slash")
	}
	sameProtocol := *c.Protocol == "#{protocol}" || *c.Protocol == string(l.view.Protocol)
	samePort := *c.Port == "#{port}" || port == int(l.asked) || port == int(*l.view.Port)
	if sameProtocol && samePort && *c.Host == "#{host}" && *c.Path == "/#{path}" {
		return badAction("The redirect configuration is not valid because it creates a loop.")
	}
	return nil
}

func acceptFixedResponse(c *types.FixedResponseActionConfig) error {
	code := aws.ToString(c.StatusCode)
	if len(code) != 3 || !strings.ContainsAny(code[:1], "245") || strings.Trim(code, digits) != "" {
		return badAction("The status code of a fixed response must be 2XX, 4XX or 5XX")
	}
	kinds := []string{"text/plain", "text/css", "text/html", "application/javascript", "application/json"}
	if c.ContentType != nil && !slices.Contains(kinds, *c.ContentType) {
		return badAction("The content type of a fixed response must be one of '%v'", kinds)
	}
	if len(aws.ToString(c.MessageBody)) > maxMessageBody {
		return badAction("The message body of a fixed response can have at most %d characters", maxMessageBody)
	}
	return nil
}

// echoActions gives actions as AWS reports them: a forward to one group in
// both forms, to several only as a list; never a client secret.
func echoActions(kept []types.Action) []types.Action {
	actions := clone(kept)
	for i := range actions {
		a := &actions[i]
		if a.AuthenticateOidcConfig != nil {
			a.AuthenticateOidcConfig.ClientSecret = nil
		}
		if a.ForwardConfig != nil && len(a.ForwardConfig.TargetGroups) == 1 {
			a.TargetGroupArn = a.ForwardConfig.TargetGroups[0].TargetGroupArn
		}
	}
	return actions
}

// sameActions says whether two lists of actions are kept alike.
func sameActions(a, b []types.Action) bool { return reflect.DeepEqual(a, b) }
