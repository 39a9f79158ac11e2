package keyserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
)

// ClientOptions says whom a [Client] asks. All fields but HTTP are required.
type ClientOptions struct {
	URL    string          // https, or http on this machine
	Public blind.PublicKey // pinned: no other key's answer is used
	Token  string          // as the key server's owner gave it
	HTTP   *http.Client    // nil: one that follows no redirection and ends a request after two minutes
}

// A Client asks a key server. It is safe for concurrent use.
type Client struct {
	url    string
	public blind.PublicKey
	header func() string
	http   *http.Client
}

// batchSize is how many identifiers the client sends at once: the proof costs the same
// for one as for all, and more of them are no cheaper.
const batchSize = 2000

// tries is how often a batch is sent to a key server that is busy or not there.
const tries = 5

// NewClient returns a client of one key server.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, gateway.Errorf(gateway.Invalid, "the key server's address is https://HOST[:PORT], or http on this machine")
	}
	if o.Public.String() == "" || o.Token == "" {
		return nil, gateway.Errorf(gateway.Invalid, "a key server is asked with its pinned public key and a token")
	}
	c := &Client{
		url: strings.TrimSuffix(o.URL, "/") + "/v1/evaluate", public: o.Public, http: o.HTTP,
		header: func() string { return "Bearer " + o.Token },
	}
	if c.http == nil {
		c.http = &http.Client{
			Timeout:       2 * time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// PublicKey returns the pinned key.
func (c *Client) PublicKey() blind.PublicKey { return c.public }

// Evaluate returns the inner pseudonym of every input, on all processors. Each input is
// asked about once, however often it is there.
func (c *Client) Evaluate(ctx context.Context, inputs [][]byte) ([][16]byte, error) {
	first := make(map[string]int, len(inputs)) // place among the distinct ones
	places, distinct := make([]int, len(inputs)), make([][]byte, 0, len(inputs))
	for i, input := range inputs {
		at, seen := first[string(input)]
		if !seen {
			at = len(distinct)
			first[string(input)] = at
			distinct = append(distinct, input)
		}
		places[i] = at
	}
	inner := make([][16]byte, len(distinct))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	done := 0
	for some := range slices.Chunk(distinct, batchSize) {
		into := inner[done : done+len(some)]
		done += len(some)
		group.Go(func() error { return c.batch(within, some, into) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := make([][16]byte, len(inputs))
	for i, at := range places {
		out[i] = inner[at]
	}
	return out, nil
}

func (c *Client) batch(ctx context.Context, inputs [][]byte, into [][16]byte) error {
	batch, request, err := blind.Blind(c.public, inputs)
	if err != nil {
		return err
	}
	response, err := c.patiently(ctx, request)
	if err != nil {
		return err
	}
	inner, err := batch.Finalize(response)
	switch {
	case errors.Is(err, blind.ErrProof):
		return &gateway.Error{Kind: gateway.Conflict, Detail: err.Error(), Err: err}
	case err != nil:
		return gateway.Errorf(gateway.Conflict, "the key server's answer is not one")
	}
	copy(into, inner)
	return nil
}

// patiently sends a request again while the server is busy or not there. The same
// elements are sent: they are random, and the server may count them twice.
func (c *Client) patiently(ctx context.Context, request []byte) ([]byte, error) {
	pause := 200 * time.Millisecond
	for try := 1; ; try++ {
		response, again, err := c.send(ctx, request)
		if err == nil || !again || try == tries {
			return response, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (c *Client) send(ctx context.Context, request []byte) (response []byte, again bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(request))
	if err != nil {
		return nil, false, errors.New("asking the key server: its address is not one")
	}
	r.Header.Set("Content-Type", blind.MediaType)
	r.Header.Set("Authorization", c.header())
	answer, err := c.http.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, ctx.Err()
		}
		_, dial := errors.AsType[*net.OpError](err)
		return nil, dial, &gateway.Error{Kind: gateway.Overloaded, Detail: "no key server answers at the configured address", Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, blind.MaxResponse+1))
	if err != nil {
		return nil, true, gateway.Errorf(gateway.Overloaded, "the key server's answer was cut off; try again")
	}
	if answer.StatusCode == http.StatusOK {
		return body, false, nil
	}
	return nil, answer.StatusCode == http.StatusServiceUnavailable, refused(answer.StatusCode, body)
}

// refused says what a key server's refusal means. Its own words are passed on: whoever
// asks has chosen it.
func refused(status int, body []byte) error {
	var p struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(body, &p)
	kind := gateway.Conflict
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		kind = gateway.Overloaded
	}
	if p.Detail == "" || len(p.Detail) > 300 {
		p.Detail = http.StatusText(status)
	}
	return &gateway.Error{Kind: kind, Detail: fmt.Sprintf("the key server refused (%d): %s", status, p.Detail)}
}
