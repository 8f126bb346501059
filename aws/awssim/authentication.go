package awssim

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	maxExtraParams = 10
	maxClaims      = 10
	maxClaimText   = 256
)

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
		return acceptCognito(a.AuthenticateCognitoConfig)
	default:
		return checkJWT(a.JwtValidationConfig)
	}
}

func acceptCognito(c *types.AuthenticateCognitoActionConfig) error {
	if c.UserPoolArn == nil || c.UserPoolClientId == nil || c.UserPoolDomain == nil {
		return badAction("An authenticate-cognito action needs a user pool, its client and its domain")
	}
	c.OnUnauthenticatedRequest = cmp.Or(c.OnUnauthenticatedRequest, types.AuthenticateCognitoActionConditionalBehaviorEnumAuthenticate)
	c.Scope = cmp.Or(c.Scope, new("openid"))
	c.SessionCookieName = cmp.Or(c.SessionCookieName, new(sessionCookie))
	c.SessionTimeout = cmp.Or(c.SessionTimeout, new(int64(maxStickySeconds)))
	return checkSession(string(c.OnUnauthenticatedRequest), *c.SessionTimeout, c.AuthenticationRequestExtraParams)
}

func acceptOIDC(c *types.AuthenticateOidcActionConfig, before *rule) error {
	if c.AuthorizationEndpoint == nil || c.ClientId == nil || c.Issuer == nil || c.TokenEndpoint == nil || c.UserInfoEndpoint == nil {
		return badAction("An authenticate-oidc action needs an issuer, its three endpoints and a client")
	}
	for _, endpoint := range []string{*c.Issuer, *c.AuthorizationEndpoint, *c.TokenEndpoint, *c.UserInfoEndpoint} {
		if err := checkEndpoint(endpoint); err != nil {
			return err
		}
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
	c.OnUnauthenticatedRequest = cmp.Or(c.OnUnauthenticatedRequest, types.AuthenticateOidcActionConditionalBehaviorEnumAuthenticate)
	c.Scope = cmp.Or(c.Scope, new("openid"))
	c.SessionCookieName = cmp.Or(c.SessionCookieName, new(sessionCookie))
	c.SessionTimeout = cmp.Or(c.SessionTimeout, new(int64(maxStickySeconds)))
	return checkSession(string(c.OnUnauthenticatedRequest), *c.SessionTimeout, c.AuthenticationRequestExtraParams)
}

func secretOf(actions []types.Action) *string {
	for _, a := range actions {
		if a.AuthenticateOidcConfig != nil && a.AuthenticateOidcConfig.ClientSecret != nil {
			return a.AuthenticateOidcConfig.ClientSecret
		}
	}
	return nil
}

// checkSession holds what the two kinds of login have in common to AWS's ranges.
func checkSession(otherwise string, seconds int64, extra map[string]string) error {
	switch {
	case !slices.Contains([]string{"deny", "allow", "authenticate"}, otherwise):
		return badAction("OnUnauthenticatedRequest '%s' must be deny, allow or authenticate", shorten(otherwise))
	case seconds < 1 || seconds > maxStickySeconds:
		return badAction("The session timeout must be between 1 and %d seconds", maxStickySeconds)
	case len(extra) > maxExtraParams:
		return badAction("At most %d extra parameters can be given", maxExtraParams)
	}
	return nil
}

// checkEndpoint holds an address of an identity provider to be a whole URL.
func checkEndpoint(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" {
		return badAction("'%s' must be a full URL, including the HTTPS protocol and the domain", shorten(text))
	}
	return nil
}

func checkJWT(c *types.JwtValidationActionConfig) error {
	if c.Issuer == nil || c.JwksEndpoint == nil {
		return badAction("A jwt-validation action needs an issuer and a JWKS endpoint")
	}
	if len(*c.Issuer) > maxClaimText || len(*c.JwksEndpoint) > maxClaimText {
		return badAction("Issuer and JWKS endpoint can have at most %d characters", maxClaimText)
	}
	if err := checkEndpoint(*c.JwksEndpoint); err != nil {
		return err
	}
	if len(c.AdditionalClaims) > maxClaims {
		return badAction("At most %d additional claims can be given", maxClaims)
	}
	for _, claim := range c.AdditionalClaims {
		name := aws.ToString(claim.Name)
		if name == "" || slices.Contains([]string{"exp", "iss", "nbf", "iat"}, name) {
			return badAction("The claim '%s' cannot be an additional one", shorten(name))
		}
		if !slices.Contains(claim.Format.Values(), claim.Format) {
			return badAction("The format of a claim must be one of '%v'", claim.Format.Values())
		}
		if len(claim.Values) == 0 || len(claim.Values) > maxClaims {
			return badAction("A claim must have between 1 and %d values", maxClaims)
		}
		for _, value := range claim.Values {
			spaced := claim.Format == types.JwtValidationActionAdditionalClaimFormatEnumSpaceSeparatedValues && strings.Contains(value, " ")
			if value == "" || len(value) > maxClaimText || spaced {
				return badAction("The value '%s' of claim '%s' is not valid", shorten(value), shorten(name))
			}
		}
	}
	return nil
}
