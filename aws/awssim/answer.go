package awssim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// sessionCookie begins the names of the cookies of an authenticated session
// unless the action names another.
const sessionCookie = "AWSELBAuthSessionCookie"

// redirect sends the client to the URL that the placeholders make.
func (srv *server) redirect(w http.ResponseWriter, r *http.Request, c *types.RedirectActionConfig) {
	fill := strings.NewReplacer(
		"#{protocol}", strings.ToLower(string(srv.protocol)),
		"#{host}", hostOf(r.Host),
		"#{port}", strconv.Itoa(int(srv.port)),
		"#{path}", strings.TrimPrefix(r.URL.EscapedPath(), "/"),
		"#{query}", r.URL.RawQuery,
	)
	location := strings.ToLower(fill.Replace(*c.Protocol)) + "://" + fill.Replace(*c.Host) + ":" + fill.Replace(*c.Port) + fill.Replace(*c.Path)
	if query := fill.Replace(*c.Query); query != "" {
		location += "?" + query
	}
	status := http.StatusFound
	if c.StatusCode == types.RedirectActionStatusCodeEnumHttp301 {
		status = http.StatusMovedPermanently
	}
	w.Header().Set("Location", location)
	respond(w, status)
}

func fixedResponse(w http.ResponseWriter, c *types.FixedResponseActionConfig) {
	status, err := strconv.Atoi(aws.ToString(c.StatusCode))
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Server", "awselb/2.0")
	w.Header().Set("Content-Type", cmp.Or(aws.ToString(c.ContentType), "text/plain")+"; charset=utf-8")
	w.WriteHeader(status)
	// A client that is gone misses nothing.
	_, _ = fmt.Fprint(w, aws.ToString(c.MessageBody))
}

// authenticated says whether a request may go on to the next action, and
// answers it otherwise. The simulator has no identity provider: any session
// cookie counts as a session, any bearer token as a valid one.
func (srv *server) authenticated(w http.ResponseWriter, r *http.Request, a types.Action) bool {
	switch a.Type {
	case types.ActionTypeEnumJwtValidation:
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			return true
		}
		respond(w, http.StatusUnauthorized)
		return false
	case types.ActionTypeEnumAuthenticateCognito:
		c := a.AuthenticateCognitoConfig
		domain := *c.UserPoolDomain
		if !strings.Contains(domain, ".") {
			domain += ".auth." + srv.region + ".amazoncognito.com"
		}
		return srv.session(w, r, login{
			endpoint: "https://" + domain + "/oauth2/authorize", client: *c.UserPoolClientId, scope: *c.Scope,
			cookie: *c.SessionCookieName, otherwise: string(c.OnUnauthenticatedRequest), extra: c.AuthenticationRequestExtraParams,
		})
	default:
		c := a.AuthenticateOidcConfig
		return srv.session(w, r, login{
			endpoint: *c.AuthorizationEndpoint, client: *c.ClientId, scope: *c.Scope,
			cookie: *c.SessionCookieName, otherwise: string(c.OnUnauthenticatedRequest), extra: c.AuthenticationRequestExtraParams,
		})
	}
}

// login is what the two authenticating actions have in common.
type login struct {
	endpoint, client, scope, cookie string
	otherwise                       string // what to do without a session: authenticate, allow or deny
	extra                           map[string]string
}

func (srv *server) session(w http.ResponseWriter, r *http.Request, l login) bool {
	if _, err := r.Cookie(l.cookie + "-0"); err == nil {
		return true
	}
	switch l.otherwise {
	case "allow":
		return true
	case "deny":
		respond(w, http.StatusUnauthorized)
		return false
	}
	query := url.Values{
		"client_id":     {l.client},
		"redirect_uri":  {"https://" + r.Host + "/oauth2/idpresponse"},
		"response_type": {"code"},
		"scope":         {l.scope},
		"state":         {randomHex(16)},
	}
	for key, value := range l.extra {
		query.Set(key, value)
	}
	separator := "?"
	if strings.Contains(l.endpoint, "?") {
		separator = "&"
	}
	w.Header().Set("Location", l.endpoint+separator+query.Encode())
	respond(w, http.StatusFound)
	return false
}
