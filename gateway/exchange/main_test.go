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
	who      map[string]gateway.Caller // agencies by contract; steward, officer, researcher, operator
}

// A clock stands still until it is moved.
type clock struct{ after atomic.Int64 }

func (c *clock) now() time.Time       { return today.Add(time.Duration(c.after.Load())) }
func (c *clock) move(d time.Duration) { c.after.Add(int64(d)) }

// newExchange opens a gateway of the test's own. change may alter the options
// before it opens.
func newExchange(t *testing.T, change ...func(*exchange.Options)) *gate {
	t.Helper()
	return seeded(t, rand.Reader, change...)
}

// seeded is newExchange with keys that come from a source of the test's.
func seeded(t *testing.T, random io.Reader, change ...func(*exchange.Options)) *gate {
	t.Helper()
	g := &gate{path: filepath.Join(t.TempDir(), "registry.db"), clock: &clock{}}
	opened, err := pseudonym.Generate(random, "test")
	ok(t, err)
	g.keys, err = pseudonym.Parse(opened)
	ok(t, err)
	g.registry = g.openRegistry(t)
	g.name = enginetest.Name(t)
	g.house = g.openHouse(t)
	g.options = exchange.Options{
		Registry: g.registry, Warehouse: g.house, Keys: g.keys, Policies: shipped(t), Notice: "of a test", Contracts: contracts(t),
		Definitions: map[string]*gateway.Definition{"demo": demo(t), "small": small(t)},
		Now:         g.clock.now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&g.options)
	}
	g.Exchange, err = exchange.New(t.Context(), g.options)
	ok(t, err)
	g.register(t)
	return g
}

func (g *gate) openRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), registry.Options{
		Path: g.path, Now: g.clock.now, Rand: rand.Reader, Signer: g.keys.Signer(), Verifier: g.keys.Verifier(), Origin: g.keys.Origin(),
	})
	ok(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (g *gate) openHouse(t *testing.T) *warehouse.Warehouse {
	t.Helper()
	e := enginetest.Start(t)
	w, err := warehouse.Open(t.Context(), warehouse.Options{
		Addresses: []string{e.Addr()}, Name: g.name, Password: func(user string) string { return e.Password(engine.User(user)) },
	})
	ok(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// reopen is what a restart of the gateway is: the file and the rows are what they
// were, nothing is in memory.
func (g *gate) reopen(t *testing.T) {
	t.Helper()
	ok(t, g.registry.Close())
	_ = g.house.Close()
	g.registry, g.house = g.openRegistry(t), g.openHouse(t)
	g.options.Registry, g.options.Warehouse = g.registry, g.house
	var err error
	g.Exchange, err = exchange.New(t.Context(), g.options)
	ok(t, err)
}

// register gives an agency and a key to every contract, and keys to the people.
func (g *gate) register(t *testing.T) {
	t.Helper()
	token, _, err := g.registry.AddKey(t.Context(), "install", registry.KeySpec{Subject: "operator", Org: "operator", Role: gateway.RoleOperator})
	ok(t, err)
	operator, err := g.Authenticate(t.Context(), token)
	ok(t, err)
	g.who = map[string]gateway.Caller{"operator": operator}
	for _, c := range g.options.Contracts {
		g.agency(t, string(c.ID), "agency-"+string(c.ID), exchange.Agency{
			Contract: c.ID, Regions: regions(t), From: "2023Q1", To: "2025Q4",
		})
	}
	g.key(t, "steward", exchange.KeySpec{Role: gateway.RoleSteward, Subject: "steward", Org: "ministry"})
	g.key(t, "officer", exchange.KeySpec{Role: gateway.RoleOfficer, Subject: "officer", Org: "data-protection"})
	g.key(t, "researcher", exchange.KeySpec{
		Role: gateway.RoleResearcher, Subject: "researcher", Org: "institute", Purposes: []gateway.Purpose{purpose},
	})
}

func (g *gate) agency(t *testing.T, who, id string, a exchange.Agency) {
	t.Helper()
	a.ID = gateway.AgencyID(id)
	ok(t, g.AddAgency(t.Context(), g.who["operator"], a))
	g.key(t, who, exchange.KeySpec{Role: gateway.RoleAgency, Agency: a.ID})
}

func (g *gate) key(t *testing.T, who string, spec exchange.KeySpec) {
	t.Helper()
	made, err := g.AddAPIKey(t.Context(), g.who["operator"], spec)
	ok(t, err)
	g.who[who], err = g.Authenticate(t.Context(), made.Token)
	ok(t, err)
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
func (g *gate) send(t *testing.T, contract gateway.ContractID, key string, file []byte) exchange.Uploaded {
	t.Helper()
	u, err := g.Upload(t.Context(), g.who[string(contract)], sending(contract, key, file))
	ok(t, err)
	return u
}

// leaves returns what the ledger says from a leaf on.
func (g *gate) leaves(t *testing.T, from uint64) []ledger.Leaf {
	t.Helper()
	var all []ledger.Leaf
	for leaf, err := range g.registry.Leaves(t.Context(), from) {
		ok(t, err)
		all = append(all, leaf)
	}
	return all
}

// story is what the ledger says of one object: "batch.intent intended", ….
func (g *gate) story(t *testing.T, object string) []string {
	t.Helper()
	var story []string
	for _, leaf := range g.leaves(t, 0) {
		if leaf.Object == object {
			story = append(story, string(leaf.Event)+" "+string(leaf.Outcome))
		}
	}
	return story
}

func (g *gate) size(t *testing.T) uint64 {
	t.Helper()
	n, err := g.registry.Size(t.Context())
	ok(t, err)
	return n
}

// visible is how many loads of a contract count now.
func (g *gate) visible(t *testing.T, contract gateway.ContractID) int {
	t.Helper()
	loads, err := g.house.Visible(t.Context(), contract, 1<<62)
	ok(t, err)
	return len(loads)
}

// batch is the batch of the last intent, which was that of the police.
func (g *gate) batch(t *testing.T) gateway.Batch {
	t.Helper()
	b, err := g.Batch(t.Context(), g.who["police"], g.newest(t))
	ok(t, err)
	return b
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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

func shipped(t *testing.T) *policies.Set {
	t.Helper()
	set, err := shippedOnce()
	ok(t, err)
	return set
}

// files are those of a country of a hundred children.
func files(t *testing.T) map[gateway.ContractID][]byte {
	t.Helper()
	files, err := filesOnce()
	ok(t, err)
	return files
}

func contracts(t *testing.T) []*gateway.Contract {
	t.Helper()
	contracts, err := configs.Contracts()
	ok(t, err)
	return contracts
}

func demo(t *testing.T) *gateway.Definition {
	t.Helper()
	d, err := configs.Definition("demo")
	ok(t, err)
	return d
}

// small is a definition of a few cells: records by sector, sex and quarter.
func small(t *testing.T) *gateway.Definition {
	t.Helper()
	d := *demo(t)
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

func regions(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, n := range demo(t).Dimension("region").Nodes {
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
