package exchange_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/approval"
	"github.com/pana-exchange/pana/gateway/approval/approvaltest"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/gateway/ledger"
	"github.com/pana-exchange/pana/gateway/registry"
	"github.com/pana-exchange/pana/gateway/warehouse"
	"github.com/pana-exchange/pana/gateway/warehouse/engine"
	"github.com/pana-exchange/pana/gateway/warehouse/enginetest"
	"github.com/pana-exchange/pana/pipelines/pseudonym"
	"github.com/pana-exchange/pana/pipelines/synth"
	"github.com/pana-exchange/pana/policies"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// today is when everything here happens: after the last day of a synthetic
// country's records.
var today = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// signedNotice is what every answer says of the policies that the tests begin with.
const signedNotice = "the policies in force were signed by officer/officer and steward/steward and came in force on 2026-03-02"

// purpose is what the researcher was granted.
const purpose gateway.Purpose = "policy-evaluation"

// A gate is a whole gateway without its HTTP: an engine, a registry on disk, keys,
// the contracts and policies that ship, and who calls it.
type gate struct {
	*exchange.Exchange
	options  exchange.Options // to open it again
	house    *warehouse.Warehouse
	registry *registry.Registry
	path     string // of the registry
	name     string // of the databases
	keys     *pseudonym.Keyring
	clock    *clock
	people   *approvaltest.People      // who may sign
	who      map[string]gateway.Caller // agencies by contract; steward, officer, researcher, operator
}

// A clock stands still until it is moved.
type clock struct{ after atomic.Int64 }

func (c *clock) now() time.Time       { return today.Add(time.Duration(c.after.Load())) }
func (c *clock) move(d time.Duration) { c.after.Add(int64(d)) }

// newExchange opens a gateway of the test's own. change may alter the options
// before it opens.
func newExchange(tb testing.TB, change ...func(*exchange.Options)) *gate {
	tb.Helper()
	return seeded(tb, rand.Reader, change...)
}

// under is newExchange with other policies in force than those that ship: signed, but
// not judged before.
func under(tb testing.TB, set *policies.Set) *gate {
	tb.Helper()
	return opened(tb, rand.Reader, set)
}

// seeded is newExchange with keys that come from a source of the test's.
func seeded(tb testing.TB, random io.Reader, change ...func(*exchange.Options)) *gate {
	tb.Helper()
	return opened(tb, random, shipped(tb), change...)
}

func opened(tb testing.TB, random io.Reader, set *policies.Set, change ...func(*exchange.Options)) *gate {
	tb.Helper()
	g := &gate{path: filepath.Join(tb.TempDir(), "registry.db"), clock: &clock{}}
	opened, err := pseudonym.Generate(random, "test")
	ok(tb, err)
	g.keys, err = pseudonym.Parse(opened)
	ok(tb, err)
	g.registry = g.openRegistry(tb)
	g.people = approvaltest.New(tb, "officer/officer", "officer/officer2", "steward/steward", "operator/operator")
	g.found(tb, set)
	g.name = enginetest.Name(tb)
	g.house = g.openHouse(tb)
	g.options = exchange.Options{
		Registry: g.registry, Warehouse: g.house, Keys: g.keys, Contracts: contracts(tb),
		Definitions: map[string]*gateway.Definition{"demo": demo(tb), "small": small(tb)},
		Now:         g.clock.now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&g.options)
	}
	g.Exchange, err = exchange.New(tb.Context(), g.options)
	ok(tb, err)
	g.register(tb)
	return g
}

// found puts the first policy in force, signed by two.
func (g *gate) found(tb testing.TB, set *policies.Set) {
	tb.Helper()
	bundle, err := set.Bundle()
	ok(tb, err)
	f := registry.Founding{Signers: g.people.Signers, Revision: set.Revision(), Content: bundle, Effects: []byte("{}")}
	statement, err := f.Statement(g.keys.Origin())
	ok(tb, err)
	ok(tb, g.registry.Found(tb.Context(), f, "install",
		g.people.Sign(tb, approval.Policy, "officer/officer", statement), g.people.Sign(tb, approval.Policy, "steward/steward", statement)))
}

func (g *gate) openRegistry(tb testing.TB) *registry.Registry {
	tb.Helper()
	receipts := g.keys.Envelope(rand.Reader, "receipts")
	r, err := registry.Open(tb.Context(), registry.Options{
		Path: g.path, Now: g.clock.now, Rand: rand.Reader, Signer: g.keys.Signer(), Verifier: g.keys.Verifier(), Origin: g.keys.Origin(),
		Seal: receipts.Seal, Unseal: receipts.Open,
	})
	ok(tb, err)
	tb.Cleanup(func() { _ = r.Close() })
	return r
}

func (g *gate) openHouse(tb testing.TB) *warehouse.Warehouse {
	tb.Helper()
	e := enginetest.Start(tb)
	w, err := warehouse.Open(tb.Context(), warehouse.Options{
		Addresses: []string{e.Addr()}, Name: g.name, Password: func(user string) string { return e.Password(engine.User(user)) },
	})
	ok(tb, err)
	tb.Cleanup(func() { _ = w.Close() })
	return w
}

// reopen is what a restart of the gateway is: the file and the rows are what they
// were, nothing is in memory.
func (g *gate) reopen(tb testing.TB) {
	tb.Helper()
	ok(tb, g.registry.Close())
	_ = g.house.Close()
	g.registry, g.house = g.openRegistry(tb), g.openHouse(tb)
	g.options.Registry, g.options.Warehouse = g.registry, g.house
	var err error
	g.Exchange, err = exchange.New(tb.Context(), g.options)
	ok(tb, err)
}

// register gives an agency and a key to every contract, and keys to the people.
func (g *gate) register(tb testing.TB) {
	tb.Helper()
	token, _, err := g.registry.AddKey(tb.Context(), "install", registry.KeySpec{Subject: "operator", Org: "operator", Role: gateway.RoleOperator})
	ok(tb, err)
	operator, err := g.Authenticate(tb.Context(), token)
	ok(tb, err)
	g.who = map[string]gateway.Caller{"operator": operator}
	for _, c := range g.options.Contracts {
		g.agency(tb, string(c.ID), "agency-"+string(c.ID), exchange.Agency{
			Contract: c.ID, Regions: regions(tb), From: "2023Q1", To: "2025Q4",
		})
	}
	g.key(tb, "steward", exchange.KeySpec{Role: gateway.RoleSteward, Subject: "steward", Org: "ministry"})
	g.key(tb, "officer", exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "officer", Org: "data-protection"})
	g.key(tb, "researcher", exchange.KeySpec{
		Role: gateway.RoleResearcher, Subject: "researcher", Org: "institute", Purposes: []gateway.Purpose{purpose},
	})
}

func (g *gate) agency(tb testing.TB, who, id string, a exchange.Agency) {
	tb.Helper()
	a.ID = gateway.AgencyID(id)
	ok(tb, g.AddAgency(tb.Context(), g.who["operator"], a))
	g.key(tb, who, exchange.KeySpec{Role: gateway.RoleAgency, Agency: a.ID})
}

func (g *gate) key(tb testing.TB, who string, spec exchange.KeySpec) {
	tb.Helper()
	made, err := g.AddAPIKey(tb.Context(), g.who["operator"], spec)
	ok(tb, err)
	g.who[who], err = g.Authenticate(tb.Context(), made.Token)
	ok(tb, err)
}

// sending is an upload of a file under a contract, for the whole window.
func sending(contract gateway.ContractID, key string, file []byte) exchange.Upload {
	from, _ := gateway.ParseDay([]byte("2023-01-01"))
	to, _ := gateway.ParseDay([]byte("2025-12-31"))
	return exchange.Upload{
		Contract: contract, Key: key, Digest: sha256.Sum256(file), Body: bytes.NewReader(file),
		Manifest: gateway.Manifest{PeriodFrom: from, PeriodTo: to, Kind: gateway.Original, Reject: gateway.RejectBatch},
	}
}

// send uploads a file, as the agency of the contract, and must succeed.
func (g *gate) send(tb testing.TB, contract gateway.ContractID, key string, file []byte) exchange.Uploaded {
	tb.Helper()
	u, err := g.Upload(tb.Context(), g.who[string(contract)], sending(contract, key, file))
	ok(tb, err)
	return u
}

// leaves returns what the ledger says from a leaf on.
func (g *gate) leaves(tb testing.TB, from uint64) []ledger.Leaf {
	tb.Helper()
	var all []ledger.Leaf
	for leaf, err := range g.registry.Leaves(tb.Context(), from) {
		ok(tb, err)
		all = append(all, leaf)
	}
	return all
}

// story is what the ledger says of one object: "batch.intent intended", ….
func (g *gate) story(tb testing.TB, object string) []string {
	tb.Helper()
	var story []string
	for _, leaf := range g.leaves(tb, 0) {
		if leaf.Object == object {
			story = append(story, string(leaf.Event)+" "+string(leaf.Outcome))
		}
	}
	return story
}

func (g *gate) size(tb testing.TB) uint64 {
	tb.Helper()
	n, err := g.registry.Size(tb.Context())
	ok(tb, err)
	return n
}

// visible is how many loads of a contract count now.
func (g *gate) visible(tb testing.TB, contract gateway.ContractID) int {
	tb.Helper()
	loads, err := g.house.Visible(tb.Context(), contract, warehouse.Snapshot{Seq: 1 << 62, Generation: 1 << 31})
	ok(tb, err)
	return len(loads)
}

// batch is the batch of the last intent, which was that of the police.
func (g *gate) batch(tb testing.TB) gateway.Batch {
	tb.Helper()
	b, err := g.Batch(tb.Context(), g.who["police"], g.newest(tb))
	ok(tb, err)
	return b.Batch
}

func ok(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// What every test reads and none changes is made once.
var (
	shippedOnce = sync.OnceValues(func() (*policies.Set, error) { return policies.Embedded(context.Background()) })
	filesOnce   = sync.OnceValues(func() (map[gateway.ContractID][]byte, error) {
		_, files, err := country(synth.Options{Children: 100, Seed: 7})
		return files, err
	})
)

func shipped(tb testing.TB) *policies.Set {
	tb.Helper()
	set, err := shippedOnce()
	ok(tb, err)
	return set
}

// files are those of a country of a hundred children.
func files(tb testing.TB) map[gateway.ContractID][]byte {
	tb.Helper()
	files, err := filesOnce()
	ok(tb, err)
	return files
}

func contracts(tb testing.TB) []*gateway.Contract {
	tb.Helper()
	contracts, err := configs.Contracts()
	ok(tb, err)
	return contracts
}

func demo(tb testing.TB) *gateway.Definition {
	tb.Helper()
	d, err := configs.Definition("demo")
	ok(tb, err)
	return d
}

// small is a definition of a few cells: records by sector, sex and quarter.
func small(tb testing.TB) *gateway.Definition {
	tb.Helper()
	d := *demo(tb)
	d.Lineage, d.Impossible, d.Implied = "small", nil, nil
	d.Dimensions = slices.DeleteFunc(slices.Clone(d.Dimensions), func(x gateway.Dimension) bool {
		return x.Name != "sector" && x.Name != "sex" && x.Name != "quarter"
	})
	d.Cubes = []gateway.Cube{{
		ID: "volume", Grain: gateway.Events, Cap: 2, Dimensions: []string{"sector", "sex", "quarter"},
		Measures: []gateway.Measure{gateway.CountChildren, gateway.CountRecords},
	}}
	return &d
}

func regions(tb testing.TB) []string {
	tb.Helper()
	var codes []string
	for _, n := range demo(tb).Dimension("region").Nodes {
		codes = append(codes, n.Code)
	}
	return codes
}

func country(options synth.Options) (*synth.Country, map[gateway.ContractID][]byte, error) {
	var err error
	options.Contracts, err = configs.Contracts()
	if err != nil {
		return nil, nil, err
	}
	c, err := synth.New(options)
	if err != nil {
		return nil, nil, err
	}
	files := map[gateway.ContractID]*bytes.Buffer{}
	err = c.Write(func(id gateway.ContractID) (io.Writer, error) {
		files[id] = &bytes.Buffer{}
		return files[id], nil
	})
	content := map[gateway.ContractID][]byte{}
	for id, file := range files {
		content[id] = file.Bytes()
	}
	return c, content, err
}

// noise is a source of keys that is the same in every run.
func noise(seed uint64) io.Reader {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	return mathrand.NewChaCha8(key)
}
