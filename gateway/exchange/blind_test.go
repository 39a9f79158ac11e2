package exchange_test

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/keyserver"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/pipelines"
	"github.com/pana-exchange/pana/pipelines/pseudonym/blind"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// blindChildren is the size of the country: of 40,000 children more than 10,000 have
// records of the police.
var blindChildren = flag.Int("blind-children", 300, "children of the test of blind uploads")

// A tap records what goes over a line, in both directions.
type tap struct {
	mu   sync.Mutex
	seen bytes.Buffer
}

func (p *tap) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	back, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(back))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.WriteString(r.URL.String())
	p.seen.Write(body)
	p.seen.Write(back)
	return answer, err
}

// A blindGate is a gateway with a key server, agencies that ask it, and taps on all lines.
type blindGate struct {
	*gate
	agency   *keyserver.Client
	ofAgency tap // between agency and key server
	ofSelf   tap // between gateway and key server
	log      bytes.Buffer
}

func newBlindGate(tb testing.TB) *blindGate {
	tb.Helper()
	b := &blindGate{}
	key, err := blind.GenerateKey(rand.Reader)
	ok(tb, err)
	handler, err := keyserver.New(keyserver.Options{
		Key: key, Dir: tb.TempDir(), Now: time.Now, Log: slog.New(slog.NewJSONHandler(&b.log, nil)),
		Agencies: []keyserver.Agency{{ID: "police", Digest: keyserver.Digest("of the police"), Quota: 1 << 20}, {ID: "gateway", Digest: keyserver.Digest("of the gateway"), Quota: 1 << 20}},
	})
	ok(tb, err)
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	client := func(token string, line *tap) *keyserver.Client {
		c, err := keyserver.NewClient(keyserver.ClientOptions{URL: server.URL, Public: key.PublicKey(), Token: token, HTTP: &http.Client{Transport: line}})
		ok(tb, err)
		return c
	}
	b.agency = client("of the police", &b.ofAgency)
	b.gate = newExchange(tb, func(o *exchange.Options) {
		o.Keys, err = o.Keys.WithKeyServer(key.PublicKey().String())
		ok(tb, err)
		o.Inner, o.Blind = client("of the gateway", &b.ofSelf).Evaluate, []gateway.ContractID{"police"}
	})
	return b
}

// hide is what an agency does with its file.
func (b *blindGate) hide(tb testing.TB, file []byte) []byte {
	tb.Helper()
	c, u := b.police(tb), sending("police", "", file)
	plan, err := b.Policies().Plan(tb.Context(), c)
	ok(tb, err)
	var hidden bytes.Buffer
	report, err := pipelines.Blind(tb.Context(), bytes.NewReader(file), pipelines.Options{
		Contract: c, Plan: plan, Agency: "blind", Batch: u.Manifest, Today: gateway.DayOf(b.clock.now()),
	}, b.agency.Evaluate, &hidden)
	ok(tb, err)
	if report.Refused > 0 {
		tb.Fatalf("%d of %d records are refused", report.Refused, report.Records)
	}
	return hidden.Bytes()
}

// iins are the identification numbers in a file.
func iins(tb testing.TB, file []byte) map[string]int {
	tb.Helper()
	table, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff")))).ReadAll()
	ok(tb, err)
	at, found := slices.Index(table[0], "child_iin"), map[string]int{}
	for _, row := range table[1:] {
		if row[at] != "" {
			found[row[at]]++
		}
	}
	return found
}

// stored are the pids of a contract's rows.
func (b *blindGate) stored(tb testing.TB, id gateway.ContractID) map[[16]byte]int {
	tb.Helper()
	c := b.options.Contracts[slices.IndexFunc(b.options.Contracts, func(c *gateway.Contract) bool { return c.ID == id })]
	loads, err := b.house.Visible(tb.Context(), id, warehouse.Snapshot{Seq: 1 << 62})
	ok(tb, err)
	found := map[[16]byte]int{}
	for _, load := range loads {
		free, full, failed := make(chan *gateway.Block, 1), make(chan *gateway.Block), make(chan error, 1)
		free <- gateway.NewBlock(c.Layout())
		go func() {
			defer close(full)
			failed <- b.house.ReadLoad(tb.Context(), c, load, free, full)
		}()
		for block := range full {
			for _, pid := range block.IDs(0)[:block.Rows()] {
				if pid != ([16]byte{}) {
					found[pid]++
				}
			}
			free <- block
		}
		ok(tb, <-failed)
	}
	return found
}

// shared counts the keys that two have in common.
func shared[K comparable](a, b map[K]int) (n int) {
	for k := range a {
		if b[k] > 0 {
			n++
		}
	}
	return n
}

// shapes are the forms in which an identifier could be in what was recorded, those of
// the canary test (trust.md 6.5).
func shapes(id string) [][]byte {
	raw := []byte(id)
	sum, md := sha256.Sum256(raw), md5.Sum(raw)
	back := slices.Clone(raw)
	slices.Reverse(back)
	all := [][]byte{raw, back, []byte(hex.EncodeToString(raw)), sum[:], []byte(hex.EncodeToString(sum[:])), md[:], []byte(hex.EncodeToString(md[:])), []byte(base64.StdEncoding.EncodeToString(sum[:]))}
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), raw...))
		all = append(all, []byte(encoded[(shift*8+5)/6:(shift+len(raw))*8/6]))
	}
	return all
}

// TestBlindLinks: a blind upload of the police links with an upload in clear of health,
// child for child; and whoever listens between agency, key server and gateway sees no
// identifier of a child of the police in any form (trust.md 5.4).
func TestBlindLinks(t *testing.T) {
	b := newBlindGate(t)
	_, files, err := country(synth.Options{Children: *blindChildren, Seed: 5})
	ok(t, err)
	hidden := b.hide(t, files["police"])
	u := sending("police", "blind", hidden)
	u.Blind = true
	done, err := b.Upload(t.Context(), b.who["police"], u)
	ok(t, err)
	b.send(t, "health", "clear", files["health"])
	police, health := iins(t, files["police"]), iins(t, files["health"])
	blindly, clearly := b.stored(t, "police"), b.stored(t, "health")
	want := shared(police, health)
	if len(blindly) != len(police) || len(clearly) != len(health) || shared(blindly, clearly) != want || want < 10 {
		t.Errorf("%d children blind, %d clear, %d linked; in truth %d, %d, %d", len(blindly), len(clearly), shared(blindly, clearly), len(police), len(health), want)
	}
	var r gateway.Receipt
	ok(t, json.Unmarshal(done.Receipt, &r))
	if !r.Blind {
		t.Error("the receipt does not say that the batch came blind")
	}
	t.Logf("%d children blind, %d linked", len(blindly), want)
	tried := 0
	for id := range police {
		for _, shape := range shapes(id) {
			for where, seen := range map[string][]byte{
				"agency to gateway": hidden, "agency to key server": b.ofAgency.seen.Bytes(), "gateway to key server": b.ofSelf.seen.Bytes(), "log of the key server": b.log.Bytes(),
			} {
				if bytes.Contains(seen, shape) {
					t.Fatalf("%s: an identifier", where)
				}
			}
		}
		if tried++; tried == 50 {
			break
		}
	}
	if !bytes.Contains(files["police"], []byte("child_family_name")) || bytes.Contains(hidden, []byte("child_family_name")) {
		t.Error("names are sent, or there were none to hide")
	}
}

// TestBlindIsAgreedUpon: a batch may come blind only where the operator allows it, and
// one with identifiers in it is refused without repeating them.
func TestBlindIsAgreedUpon(t *testing.T) {
	b := newBlindGate(t)
	file := rows(t, 0, 5)
	hidden := b.hide(t, file)
	try := func(change func(*exchange.Upload)) error {
		u := sending("police", rand.Text(), hidden)
		u.Blind = true
		change(&u)
		_, err := b.Upload(t.Context(), b.who[string(u.Contract)], u)
		return err
	}
	is(t, try(func(u *exchange.Upload) { u.Contract = "health" }), gateway.Forbidden)
	is(t, try(func(u *exchange.Upload) { u.Manifest.Reject = gateway.RejectRows }), gateway.Invalid)
	inClear := try(func(u *exchange.Upload) { u.Body, u.Digest = bytes.NewReader(file), sha256.Sum256(file) })
	is(t, inClear, gateway.Invalid)
	for id := range iins(t, file) {
		if strings.Contains(inClear.Error(), id) {
			t.Error("a refusal repeats an identifier")
		}
	}
	is(t, try(func(u *exchange.Upload) { u.Blind = false }), gateway.Invalid)
	ok(t, try(func(*exchange.Upload) {}))

	without := newExchange(t)
	u := sending("police", "blind", hidden)
	u.Blind = true
	_, err := without.Upload(t.Context(), without.who["police"], u)
	is(t, err, gateway.Forbidden)
}
