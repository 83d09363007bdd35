package egress

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckDecidesOnTheConnectedAddress(t *testing.T) {
	t.Parallel()
	const public, private, no = 0, 1, 2 // allowed always, only with AllowPrivate, never
	for address, want := range map[string]int{
		"93.184.216.34:443": public, "[2606:2800:220:1::1]:443": public,
		"127.0.0.1:80": private, "127.9.9.9:80": private, "[::1]:80": private, "10.1.2.3:80": private, "192.168.1.1:80": private, "172.16.0.1:80": private,
		"100.64.0.1:80": private, "[fd12::1]:80": private, "[::ffff:10.0.0.1]:80": private, "[64:ff9b::a00:1]:80": private, "[2002:a00:1::]:80": private,
		"169.254.169.254:80": no, "[::ffff:169.254.169.254]:80": no, "[64:ff9b::a9fe:a9fe]:80": no, "[2002:a9fe:a9fe::]:80": no, "[fd00:ec2::254]:80": no,
		"0.0.0.0:80": no, "[::]:80": no, "224.0.0.1:80": no, "255.255.255.255:80": no, "240.0.0.1:80": no, "[ff02::1]:80": no, "[fe80::1%eth0]:80": no,
		"100.100.100.200:80": no, "168.63.129.16:80": no, "127.0.0.1:5000": no, "[::ffff:127.0.0.1]:5000": no, "nonsense": no,
	} {
		for _, allow := range []bool{false, true} {
			err := Policy{AllowPrivate: allow, Own: "127.0.0.1:5000"}.Check("tcp4", address)
			if ok := want == public || (want == private && allow); (err == nil) != ok {
				t.Errorf("%s, private allowed %v: %v", address, allow, err)
			}
		}
	}
	if (Policy{AllowPrivate: true}).Check("udp4", "93.184.216.34:443") == nil {
		t.Error("only TCP may be used")
	}
}

func TestClientRefusesAtTheDoorAndFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	called := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		called++
		http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
	}))
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} { // by name too: what counts is the address connected to
		if resp, err := (Policy{}).Client(time.Second).Get("http://" + host + port); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was called", host)
		} else if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if called != 0 {
		t.Fatalf("the server was reached %d times", called)
	}
	resp, err := (Policy{AllowPrivate: true}).Client(time.Second).Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusFound || called != 1 {
		t.Errorf("status %d after %d calls: a redirect is an answer, not a way", resp.StatusCode, called)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://example.com/hook?x=1": true, "http://127.0.0.1:9000/": true,
		"": false, "ftp://x/": false, "file:///etc/passwd": false, "https://": false, "https://u:p@x/": false, "https://x/#f": false,
		"https://x/ y": false, "gopher://x": false, "//x/y": false, "https://x/" + strings.Repeat("a", MaxURL): false,
	} {
		if err := CheckURL("url", raw); (err == nil) != ok {
			t.Errorf("%.60s: %v", raw, err)
		}
	}
}
