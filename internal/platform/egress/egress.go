// Package egress is the one door through which the server calls addresses that users name: webhooks, imports. It decides on the
// address that is actually connected to, after name resolution, so that neither a name that resolves to an inner address nor one
// that changes between two look-ups gets past it. Redirects and proxies are off.
package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/modelyard/modelyard/internal/platform/errs"
)

// Policy says what may be called.
type Policy struct {
	// AllowPrivate permits loopback and private networks: for a server that itself listens on loopback only, or by configuration.
	AllowPrivate bool
	// Own is the address this server listens on (host:port); it is never called.
	Own string
}

// MaxURL is the longest address that is accepted, in bytes.
const MaxURL = 2000

// CheckURL says whether an address may be kept for calling later. It returns Invalid. What it resolves to is checked at each call.
func CheckURL(field, raw string) error {
	bad := func(format string, args ...any) error {
		return errs.Invalidf("egress.url", "the address cannot be used").WithField(field, format, args...)
	}
	if raw == "" || len(raw) > MaxURL {
		return bad("expected http:// or https:// and a host, at most %d characters", MaxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return bad("expected a URL such as https://example.com/hook")
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("expected http:// or https://")
	case u.Hostname() == "":
		return bad("the host is missing")
	case u.User != nil:
		return bad("a user name or password in the address is not accepted; use the secret")
	case u.Fragment != "":
		return bad("a fragment (#...) means nothing here")
	case strings.ContainsAny(raw, " \t\r\n\x00"):
		return bad("white space is not accepted")
	}
	return nil
}

// Client is an HTTP client under the policy. Timeout is of a whole call.
func (p Policy) Client(timeout time.Duration) *http.Client {
	d := &net.Dialer{Timeout: min(timeout, 5*time.Second), Control: func(network, address string, _ syscall.RawConn) error { return p.Check(network, address) }}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: nil, // a proxy would connect for us, past the check
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				return d.DialContext(ctx, network, addr)
			},
			TLSHandshakeTimeout:    5 * time.Second,
			ResponseHeaderTimeout:  timeout,
			DisableKeepAlives:      true, // each call is checked anew
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ErrRefused is in the chain of the error of a call that the policy refused.
var ErrRefused = errors.New("this address may not be called from here")

// never are addresses that no call may reach: this-network, metadata services (link-local, Azure, Oracle, Alibaba, AWS over IPv6),
// multicast, reserved and broadcast.
var never = []netip.Prefix{ //nolint:gochecknoglobals // a constant table
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("::/128"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("ff00::/8"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("2001::/32"), // the last is Teredo, which hides an IPv4 address
}

var carrierNAT = netip.MustParsePrefix("100.64.0.0/10") //nolint:gochecknoglobals // a constant

// Check decides on an address about to be connected to (network "tcp4" or "tcp6", address ip:port).
func (p Policy) Check(network, address string) error {
	if network != "tcp4" && network != "tcp6" && network != "tcp" {
		return ErrRefused
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrRefused
	}
	ip := inner(ap.Addr())
	for _, n := range never {
		if n.Contains(ip) {
			return ErrRefused
		}
	}
	if !p.AllowPrivate && (ip.IsLoopback() || ip.IsPrivate() || carrierNAT.Contains(ip)) {
		return ErrRefused
	}
	if p.isOwn(ip, ap.Port()) {
		return ErrRefused
	}
	return nil
}

// isOwn reports whether this server would call itself.
func (p Policy) isOwn(ip netip.Addr, port uint16) bool {
	own, err := netip.ParseAddrPort(p.Own)
	if err != nil || own.Port() != port {
		return false
	}
	o := own.Addr().Unmap()
	return o == ip || (o.IsUnspecified() && (ip.IsLoopback() || ip.IsPrivate())) || (o.IsLoopback() && ip.IsLoopback())
}

// inner is the IPv4 address inside an IPv6 one that carries it: mapped, NAT64 (64:ff9b::/96) and 6to4 (2002::/16).
func inner(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case netip.MustParsePrefix("::/96").Contains(ip) && !ip.IsLoopback() && !ip.IsUnspecified(): // IPv4-compatible, long out of use
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return ip
}

// Reason tells users what kind of failure it was, and no more: details of inner networks are nobody's business.
func Reason(err error) string {
	var timeout interface{ Timeout() bool }
	var known *errs.Error
	switch {
	case errors.Is(err, ErrRefused):
		return "this address may not be called from here: inner networks and metadata services are refused"
	case errors.As(err, &known):
		return known.Message
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	}
	return "it could not be reached"
}
