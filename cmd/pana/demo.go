package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pana-exchange/pana/configs"
	"github.com/pana-exchange/pana/gateway"
	"github.com/pana-exchange/pana/gateway/exchange"
	"github.com/pana-exchange/pana/pipelines/synth"
)

// A demo is everything of Pana, from nothing, on one machine: the same code that
// serves a ministry, a synthetic country instead of a real one.
type demo struct {
	c         *cli
	children  int
	seed      uint64
	dir       string
	serve     bool
	node      *node
	operator  *client
	ledgerKey string
	keys      map[string]*client // by who holds the key
	result    demoResult
}

// demoResult is what --json prints.
type demoResult struct {
	In       int               `json:"records_in"`
	Stored   int               `json:"records_stored"`
	Refused  int               `json:"records_refused"`
	Receipts []gateway.BatchID `json:"receipts"`
	Release  *gateway.Release  `json:"release"`
	Tables   []gateway.Table   `json:"tables"`
	// Indicators are read from tables of their own.
	Indicators []gateway.IndicatorTable `json:"indicators"`
	Ledger     uint64                   `json:"ledger_size"`
	Verified   bool                     `json:"verified"`
	Dir        string                   `json:"dir,omitempty"`
}

func (c *cli) demoCommand() *cobra.Command {
	d := &demo{c: c, keys: map[string]*client{}}
	command := &cobra.Command{
		Use:   "demo",
		Short: "The whole system in one command, on a synthetic country",
		Long: `Start an engine, make keys, generate a synthetic country, upload six sectors'
records through the API, build and approve a release, ask it five questions and
verify the log. The first run fetches the engine (178 MB).`,
		Example: `  pana demo
  pana demo --serve --dir demo
  pana demo --json --children 2000`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.children < 100 {
				return usageError{errors.New("--children is 100 or more: fewer would all be hidden")}
			}
			return d.run(cmd.Context())
		},
	}
	f := command.Flags()
	f.IntVar(&d.children, "children", 20000, "how many children the synthetic country has")
	f.Uint64Var(&d.seed, "seed", 1, "the same seed gives the same country")
	f.StringVar(&d.dir, "dir", "", "keep everything in this directory; default: a temporary one, removed at the end")
	f.BoolVar(&d.serve, "serve", false, "stay up after the demonstration")
	return command
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.dir == "" {
		dir, err := os.MkdirTemp("", "pana-demo-")
		if err != nil {
			return fmt.Errorf("making a temporary directory: %w", err)
		}
		d.dir = dir
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else {
		d.result.Dir = d.dir
	}
	stop, err := d.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, act := range []func(context.Context) error{
		d.register, d.upload, d.refuse, d.release, d.ask, d.indicators, d.untold, d.audit,
	} {
		err := act(ctx)
		if err != nil {
			return err
		}
	}
	if d.c.asJSON {
		err = d.c.print(d.result, nil)
	} else {
		d.whereNext()
	}
	if err == nil && d.serve {
		d.stayUp()
		<-ctx.Done()
	}
	return err
}

// stayUp says how to go on with the demonstration's gateway.
func (d *demo) stayUp() {
	d.title("The gateway stays up at %s; end it with Ctrl-C", d.node.address)
	if d.result.Dir == "" {
		return
	}
	d.line("in another terminal, as researcher, officer, steward, operator or a sector:")
	d.line("export PANA_GATEWAY=%s PANA_LEDGER_KEY=%s", d.node.address, d.ledgerKey)
	d.line("export PANA_KEY_FILE=%s", filepath.Join(d.dir, "researcher.key"))
	d.line("pana query --release demo-1 --cube pathways --by sex --purpose %s", purpose)
}

// title prints a heading to standard output, where the demonstration is read.
func (d *demo) title(format string, args ...any) {
	if !d.c.asJSON {
		_, _ = fmt.Fprintf(d.c.out, "\n"+format+"\n", args...)
	}
}

func (d *demo) line(format string, args ...any) {
	if !d.c.asJSON {
		_, _ = fmt.Fprintf(d.c.out, "  "+format+"\n", args...)
	}
}

// start makes keys and opens a gateway over a free port. The returned function
// ends it.
func (d *demo) start(ctx context.Context) (stop func() error, err error) {
	d.title("Pana: records of six sectors in, protected tables out")
	d.line("every record is synthetic; everything else is what a ministry would run")
	data := filepath.Join(d.dir, "data")
	made, err := initKeys(ctx, data, "demo", "", sealing{}, d.c)
	if errors.Is(err, gateway.Conflict) {
		return nil, gateway.Errorf(gateway.Conflict, "%s holds an earlier demonstration; name another directory with --dir", d.dir)
	}
	if err != nil {
		return nil, err
	}
	d.ledgerKey = made.LedgerKey
	d.line("keys      made; the ledger's public key is %s", made.LedgerKey)
	_, err = d.c.found(ctx, founding{data: data, demonstration: true})
	if err != nil {
		return nil, err
	}
	d.line("policies  the first ones signed by an officer and the steward, with keys that are thrown away")
	config, err := configs.Load("", map[string]any{"data": data, "listen": "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "gateway.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the log: %w", err)
	}
	start := d.c.now()
	d.node = &node{owner: "demo", config: config, log: slog.New(slog.NewJSONHandler(log, nil))}
	err = d.node.open(ctx, d.c)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	err = d.node.listen(ctx, d.c)
	if err != nil {
		return nil, errors.Join(err, d.node.close(), log.Close())
	}
	d.line("engine    a real ClickHouse, this process's child, up after %s", since(d.c, start))
	d.line("in force  revision %.16s…; %s", d.node.exchange.Policies().Revision(), d.node.exchange.Notice())
	d.operator = newClient(d.node.address, made.OperatorKey)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 1)
	go func() { failed <- d.node.serve(serving) }()
	stop = func() error {
		end()
		return errors.Join(<-failed, d.node.close(), log.Close())
	}
	err = d.operator.waitReady(ctx)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, d.keep("operator", made.OperatorKey)
}

// keep writes a key to a file, where the directory outlives the demonstration, so
// that a person can go on in the role of whoever holds it.
func (d *demo) keep(who, key string) error {
	if d.result.Dir == "" {
		return nil
	}
	return writeNew(filepath.Join(d.dir, who+".key"), []byte(key+"\n"))
}

func since(c *cli, start time.Time) time.Duration {
	return c.now().Sub(start).Round(10 * time.Millisecond)
}

// purpose is what the demonstration's researcher was granted.
const purpose gateway.Purpose = "policy-evaluation"

// register adds an agency and a key for each sector, and the three people.
func (d *demo) register(ctx context.Context) error {
	contracts, err := configs.Contracts()
	if err != nil {
		return err
	}
	regions, err := regionCodes()
	if err != nil {
		return err
	}
	for _, contract := range contracts {
		agency := exchange.Agency{
			ID: gateway.AgencyID("agency-" + string(contract.ID)), Contract: contract.ID, Title: contract.Title,
			Regions: regions, From: "2023Q1", To: "2025Q4",
		}
		err = d.operator.call(ctx, "POST", "/v1/access/agencies", agency, nil)
		if err != nil {
			return err
		}
		err = d.key(ctx, string(contract.ID), exchange.KeySpec{Role: gateway.RoleAgency, Agency: agency.ID})
		if err != nil {
			return err
		}
	}
	for who, spec := range map[string]exchange.KeySpec{
		"steward":    {Role: gateway.RoleSteward, Subject: "steward", Org: "ministry"},
		"officer":    {Role: gateway.RoleOfficer, Subject: "officer", Org: "data-protection"},
		"officer2":   {Role: gateway.RoleOfficer, Subject: "officer2", Org: "data-protection"},
		"researcher": {Role: gateway.RoleResearcher, Subject: "researcher", Org: "institute", Purposes: []gateway.Purpose{purpose}},
	} {
		err = d.key(ctx, who, spec)
		if err != nil {
			return err
		}
	}
	d.line("access    six agencies, a steward, two officers and a researcher hold keys")
	return nil
}

func (d *demo) key(ctx context.Context, who string, spec exchange.KeySpec) error {
	var made exchange.KeySpec
	err := d.operator.call(ctx, "POST", "/v1/access/keys", spec, &made)
	if err != nil {
		return err
	}
	d.keys[who] = newClient(d.node.address, made.Token)
	return d.keep(who, made.Token)
}

// regionCodes are the regions of the built-in release definition.
func regionCodes() ([]string, error) {
	definition, err := configs.Definition("demo")
	if err != nil {
		return nil, err
	}
	var codes []string
	for _, node := range definition.Dimension("region").Nodes {
		codes = append(codes, node.Code)
	}
	return codes, nil
}

// upload generates the country and sends each sector's file with its agency's key.
func (d *demo) upload(ctx context.Context) error {
	d.title("Six agencies upload")
	country, err := newCountry(synth.Options{Children: d.children, Seed: d.seed})
	if err != nil {
		return err
	}
	files := filepath.Join(d.dir, "files")
	err = writeCountry(country, files)
	if err != nil {
		return err
	}
	for _, sector := range sectors {
		progress := d.c.bar(sector, 0)
		receipt, err := d.keys[sector].upload(ctx, uploading{
			contract: sector, file: filepath.Join(files, sector+".csv"), from: "2023-01-01", to: "2025-12-31",
			reject: string(gateway.RejectBatch),
		}, func(done, total int64) { progress.total = total; progress.set(done) })
		if err != nil {
			return fmt.Errorf("uploading %s: %w", sector, err)
		}
		r, err := d.count(receipt)
		if err != nil {
			return err
		}
		progress.end("%6d records stored, receipt at leaf %d", r.Stored, r.Index)
	}
	d.line("identifiers became keyed pseudonyms, birth dates age bands, dates quarters with")
	d.line("days shifted by a secret per child; names were dropped before anything was stored")
	return nil
}

var sectors = []string{"police", "health", "education", "social", "justice", "helpline"}

// refuse sends a file with faults, as an agency would see it.
func (d *demo) refuse(ctx context.Context) error {
	d.title("A seventh file has faults: it is refused, and nothing of it is stored")
	country, err := newCountry(synth.Options{Children: 100, Seed: d.seed + 1, Dirty: 0.1})
	if err != nil {
		return err
	}
	files := filepath.Join(d.dir, "faulty")
	err = writeCountry(country, files)
	if err != nil {
		return err
	}
	_, err = d.keys["police"].upload(ctx, uploading{
		contract: "police", file: filepath.Join(files, "police.csv"), from: "2023-01-01", to: "2025-12-31",
		reject: string(gateway.RejectBatch),
	}, func(int64, int64) {})
	p, ok := errors.AsType[*problem](err)
	if !ok || len(p.Errors) == 0 {
		return errors.Join(errors.New("a file with faults was not refused"), err)
	}
	records, err := countLines(filepath.Join(files, "police.csv"))
	if err != nil {
		return err
	}
	d.result.In += records
	d.result.Refused += records
	d.line("%s", p.Detail)
	if d.c.asJSON {
		return nil
	}
	return writeProblems(d.c.out, p.Errors[:min(5, len(p.Errors))], len(p.Errors)+p.Omitted-min(5, len(p.Errors)))
}

// release has the steward build and the officer approve.
func (d *demo) release(ctx context.Context) error {
	d.title("A release: counted, protected once, approved by its risk page")
	start := d.c.now()
	var built gateway.Release
	err := d.keys["steward"].call(ctx, "POST", "/v1/releases", map[string]string{"definition": "demo"}, &built)
	if err != nil {
		return fmt.Errorf("building the release: %w", err)
	}
	d.line("the steward built %s in %s; it does not answer yet", built.ID, since(d.c, start))
	page, digest, err := readRisk(ctx, d.keys["officer"], string(built.ID))
	if err != nil {
		return fmt.Errorf("reading the risk page: %w", err)
	}
	d.line("the officer reads its risk page (pana release show %s --risk), which begins:", built.ID)
	if !d.c.asJSON {
		err = page.WriteShort(d.c.out)
		if err != nil {
			return err
		}
	}
	approval := map[string]string{"digest": digest, "reason": "the risk page was read"}
	err = d.keys["officer"].call(ctx, "POST", "/v1/releases/"+string(built.ID)+"/approval", approval, &built)
	if err != nil {
		return fmt.Errorf("approving the release: %w", err)
	}
	d.line("and approves the page with digest %.16s…, and so the cells that it describes", built.Page)
	d.result.Release = &built
	return nil
}

// audit reads the log as the officer does and verifies it.
func (d *demo) audit(ctx context.Context) error {
	log, err := d.keys["officer"].log(ctx, d.node.keys.Verifier())
	if err != nil {
		return err
	}
	size, err := log.verify(d.node.keys.Verifier())
	if err != nil {
		return fmt.Errorf("the ledger does not verify: %w", err)
	}
	d.result.Ledger, d.result.Verified = size, true
	d.title("The officer's view: %d leaves, each decision one, verified against the signed checkpoint", size)
	if d.c.asJSON {
		return nil
	}
	leaves, err := d.keys["officer"].leaves(ctx, size-min(size, 8))
	if err != nil {
		return err
	}
	return writeLeaves(d.c.out, leaves)
}

func (d *demo) whereNext() {
	d.title("Where to look next")
	for _, line := range []string{
		"pana demo --serve --dir demo    the same, and it stays up; everything is kept in demo/",
		"pana policy plan police         what is done to every field of a police record, and why",
		"pana release plan               what the release admits, and the noise that it needs",
		"policies/README.md              the policies, for the data protection officer",
		"README.md                       a ten-minute tour for each user",
	} {
		d.line("%s", line)
	}
	d.line("records in %d = stored %d + refused %d", d.result.In, d.result.Stored, d.result.Refused)
}
