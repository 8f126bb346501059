package awssim

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// The cookies that keep their holder on a target group and on a target while
// they last. Each has a copy for requests from other origins.
const (
	groupCookie  = "AWSALBTG"
	targetCookie = "AWSALB"
	corsSuffix   = "CORS"
)

// stick gives the client a cookie, and its copy, that keeps it where it is for
// a duration. A duration of 0 gives none.
func (srv *server) stick(header http.Header, name, where string, duration time.Duration) {
	if duration <= 0 {
		return
	}
	expires := srv.now().Add(duration)
	value := base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(expires.Unix(), 10) + " " + where))
	plain := &http.Cookie{Name: name, Value: value, Path: "/", Expires: expires}
	cors := &http.Cookie{
		Name: name + corsSuffix, Value: value, Path: "/", Expires: expires,
		SameSite: http.SameSiteNoneMode, Secure: srv.protocol == types.ProtocolEnumHttps,
	}
	header.Add("Set-Cookie", plain.String())
	header.Add("Set-Cookie", cors.String())
}

// held gives what the client's cookie says while it lasts, or nothing.
func (srv *server) held(r *http.Request, name string) string {
	for _, name := range []string{name, name + corsSuffix} {
		cookie, err := r.Cookie(name)
		if err != nil {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
		until, where, _ := strings.Cut(string(raw), " ")
		expires, errNumber := strconv.ParseInt(until, 10, 64)
		if err == nil && errNumber == nil && srv.now().Unix() < expires {
			return where
		}
	}
	return ""
}

// stuckToGroup gives the group that the client's cookie names. Its weight does
// not matter, but the forward must still name it.
func (srv *server) stuckToGroup(r *http.Request, f *forward) (share, bool) {
	if f.sticky <= 0 {
		return share{}, false
	}
	held := srv.held(r, groupCookie)
	at := slices.IndexFunc(f.shares, func(candidate share) bool { return candidate.id == held })
	if at < 0 {
		return share{}, false
	}
	return f.shares[at], true
}

// stuckToTarget gives the target that the client's cookie names, if it may
// still get traffic.
func (srv *server) stuckToTarget(r *http.Request, m *members) (*endpoint, bool) {
	if m.sticky <= 0 {
		return nil, false
	}
	address, err := netip.ParseAddrPort(srv.held(r, targetCookie))
	if err != nil {
		return nil, false
	}
	return m.find(address)
}
