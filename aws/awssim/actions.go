package awssim

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxActions bounds the actions of one rule.
const maxActions = 5

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
		var err error
		switch a.Type {
		case types.ActionTypeEnumForward:
			err = s.acceptForward(l, a, before)
		case types.ActionTypeEnumRedirect:
			err = acceptRedirect(a)
		case types.ActionTypeEnumFixedResponse:
			err = acceptFixedResponse(a)
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

func acceptRedirect(a *types.Action) error {
	c := a.RedirectConfig
	if c == nil {
		return badAction("A redirect action needs a RedirectConfig")
	}
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
	if !strings.HasPrefix(*c.Path, "/") {
		return badAction("The path of a redirect must start with a slash")
	}
	if *c.Protocol == "#{protocol}" && *c.Host == "#{host}" && *c.Port == "#{port}" && *c.Path == "/#{path}" {
		return badAction("The redirect configuration is not valid because it creates a loop")
	}
	return nil
}

func acceptFixedResponse(a *types.Action) error {
	c := a.FixedResponseConfig
	if c == nil {
		return badAction("A fixed-response action needs a FixedResponseConfig")
	}
	code := aws.ToString(c.StatusCode)
	if len(code) != 3 || !strings.ContainsAny(code[:1], "245") || strings.Trim(code, "0123456789") != "" {
		return badAction("The status code of a fixed response must be 2XX, 4XX or 5XX")
	}
	if len(aws.ToString(c.MessageBody)) > 1024 {
		return badAction("The message body of a fixed response can have at most 1024 characters")
	}
	return nil
}

// acceptAuthentication fills in the defaults. The secret of an OIDC client is
// kept, but never reported; only a change of a rule that has one may ask for
// the one it has.
func acceptAuthentication(l *listener, a *types.Action, before *rule) error {
	if l.view.Protocol != types.ProtocolEnumHttps {
		return badAction("Authenticate actions are supported on HTTPS listeners only")
	}
	switch a.Type {
	case types.ActionTypeEnumAuthenticateOidc:
		return acceptOIDC(a.AuthenticateOidcConfig, before)
	case types.ActionTypeEnumAuthenticateCognito:
		c := a.AuthenticateCognitoConfig
		if c == nil || c.UserPoolArn == nil || c.UserPoolClientId == nil || c.UserPoolDomain == nil {
			return badAction("An authenticate-cognito action needs a user pool, its client and its domain")
		}
		c.OnUnauthenticatedRequest = cmp.Or(c.OnUnauthenticatedRequest,
			types.AuthenticateCognitoActionConditionalBehaviorEnumAuthenticate)
		c.Scope = cmp.Or(c.Scope, new("openid"))
		c.SessionCookieName = cmp.Or(c.SessionCookieName, new(sessionCookie))
		c.SessionTimeout = cmp.Or(c.SessionTimeout, new(int64(maxStickySeconds)))
	default:
		c := a.JwtValidationConfig
		if c == nil || c.Issuer == nil || c.JwksEndpoint == nil {
			return badAction("A jwt-validation action needs an issuer and a JWKS endpoint")
		}
	}
	return nil
}

func acceptOIDC(c *types.AuthenticateOidcActionConfig, before *rule) error {
	if c == nil || c.AuthorizationEndpoint == nil || c.ClientId == nil || c.Issuer == nil ||
		c.TokenEndpoint == nil || c.UserInfoEndpoint == nil {
		return badAction("An authenticate-oidc action needs an issuer, its three endpoints and a client")
	}
	existing := aws.ToBool(c.UseExistingClientSecret)
	switch {
	case existing && c.ClientSecret != nil:
		return badAction("You cannot both specify a client secret and set UseExistingClientSecret to true")
	case existing && before == nil:
		return badAction("You cannot set UseExistingClientSecret to true when creating a rule")
	case existing:
		if c.ClientSecret = secretOf(before.actions); c.ClientSecret == nil {
			return badAction("The rule has no client secret that could be used")
		}
	case c.ClientSecret == nil:
		return badAction("You must specify a client secret or set UseExistingClientSecret to true")
	}
	c.UseExistingClientSecret = nil
	c.OnUnauthenticatedRequest = cmp.Or(c.OnUnauthenticatedRequest,
		types.AuthenticateOidcActionConditionalBehaviorEnumAuthenticate)
	c.Scope = cmp.Or(c.Scope, new("openid"))
	c.SessionCookieName = cmp.Or(c.SessionCookieName, new(sessionCookie))
	c.SessionTimeout = cmp.Or(c.SessionTimeout, new(int64(maxStickySeconds)))
	return nil
}

func secretOf(actions []types.Action) *string {
	for _, a := range actions {
		if a.AuthenticateOidcConfig != nil && a.AuthenticateOidcConfig.ClientSecret != nil {
			return a.AuthenticateOidcConfig.ClientSecret
		}
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
