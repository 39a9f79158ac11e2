package redteam

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
)

// TwinOptions say how a twin is attacked. The zero value is enough.
type TwinOptions struct {
	// Mean is the mean number of children of a cell of the largest grouping set of
	// partition dimensions, a public choice: 28 is dense, 20 (the default) medium, 5
	// sparse.
	Mean int
	Keys int    // Noise keys, each with children of its own; default and least MinKeys.
	Seed uint64 // The same seed makes the same twin; default 0.
	// Rules are those that policy decided; default the floors of disclosure.md 2.12.
	Rules *gateway.ReleaseRules
	// Progress is told of each step, by one goroutine at a time; default nobody.
	Progress func(done, total int)
}

// maxInvented bounds the children of a twin: more change no figure, only the time.
const maxInvented = 60_000

// A TwinReport is what became of the attacks on a release of invented children: a
// definition's own red team, before or beside its real release. It is made from the
// definition and the rules alone, so whoever may see the definition may see all of
// it.
type TwinReport struct {
	Lineage  string    `json:"lineage"`
	Children int       `json:"children"` // invented, under the first key
	Mean     int       `json:"mean"`     // asked for, of a cell of the largest set of partition dimensions
	Cells    int       `json:"cells"`    // of all grouping sets
	Keys     int       `json:"keys"`
	Seed     uint64    `json:"seed"`
	Passed   bool      `json:"passed"`
	Missed   []string  `json:"missed"` // bars that the protection misses
	Broken   []string  `json:"broken"` // attacks that do not break what is unprotected
	Findings []Finding `json:"findings"`
}

// A Finding is one measure of one attack on a twin, with a line for people.
type Finding struct {
	Row

	Verdict string `json:"verdict"`
}

// Twin makes up a population that fits a definition, publishes it by
// [disclosure.Protect] under noise keys of its own, and runs the attacks that apply
// to any lattice against it, against no protection and against what the one-way
// margins alone give. It is deterministic for a seed. A missed bar is in the twin,
// not an error; a definition that cannot be released is an error.
//
// A4 needs an implication, A1 and the AUC of A5 a partition dimension to keep
// secret: what a definition has no place for is left out of the findings.
func Twin(ctx context.Context, def *gateway.Definition, o TwinOptions) (*TwinReport, error) {
	if o.Mean == 0 {
		o.Mean = 20
	}
	if o.Keys == 0 {
		o.Keys = MinKeys
	}
	if o.Keys < MinKeys || o.Mean < 1 {
		return nil, gateway.Errorf(gateway.Invalid, "a twin needs %d noise keys and a child a cell, or more", MinKeys)
	}
	if def.Profile != gateway.Interactive {
		return nil, gateway.Errorf(gateway.Invalid, "a twin is attacked as an interactive release; standing and public tables are protected in other ways")
	}
	plan, err := newTwinPlan(def)
	if err != nil {
		return nil, err
	}
	r := &twinRunner{ctx: ctx, plan: plan, o: o}
	plan.probes = slices.Concat(plan.probes, overReleases(), ofValues())
	for range plan.probes {
		r.values = append(r.values, newTaken(o.Keys))
	}
	err = r.run()
	if err != nil {
		return nil, err
	}
	return r.twin(), nil
}

// A twinRunner takes every probe under every key.
type twinRunner struct {
	ctx      context.Context //nolint:containedctx // of one call of Twin
	plan     *twinPlan
	o        TwinOptions
	values   []taken
	mu       sync.Mutex // of done, and so that Progress is called by one at a time
	done     int
	children int // under the first key
}

func (r *twinRunner) run() error {
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for key := range r.o.Keys {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return r.key(key)
		})
	}
	return g.Wait()
}

// key takes the probes under one key: of the default, and under the first keys of
// no protection, which they must break.
func (r *twinRunner) key(key int) error {
	w, err := r.plan.populate(mix(r.o.Seed)+uint64(key), r.o, key%2 == 0) //nolint:gosec // an index
	if err != nil {
		return err
	}
	if key == 0 {
		r.children = w.children
	}
	columns := []int{colDefault}
	if key < controlKeys {
		columns = append(columns, colNone)
	}
	for _, col := range columns {
		t := &twinTrial{trial: newTrial(w.world, publishers()[col], key), twin: w, plan: r.plan}
		for i, p := range r.plan.probes {
			x, err := p.value(t)
			if err == nil && p.fault != nil && col == colDefault {
				r.values[i].faulty[key], err = p.fault(t)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", p.attack, err)
			}
			r.values[i].by[col][key] = x
			if p.baseline != nil && col == colDefault {
				r.values[i].baseline[key] = p.baseline(t)
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.o.Progress != nil {
		r.o.Progress(r.done, r.o.Keys)
	}
	return nil
}

// twin puts the findings together.
func (r *twinRunner) twin() *TwinReport {
	t := &TwinReport{
		Lineage: r.plan.def.Lineage, Children: r.children, Mean: r.o.Mean, Cells: r.plan.size, Keys: r.o.Keys, Seed: r.o.Seed,
		Missed: []string{}, Broken: []string{}, Findings: []Finding{},
	}
	for i, p := range r.plan.probes {
		values := r.values[i]
		values.by[colNone] = values.by[colNone][:controlKeys]
		c := check{attack: p.attack, measure: p.measure, bar: p.bar}
		if p.baseline != nil {
			c.baseline = func(*trial) (float64, error) { return 0, nil } // taken already
		}
		f := Finding{Row: newRow(c, values)}
		f.Rounded, f.Single = nil, nil
		if f.Default == nil {
			continue // the twin has no place for it
		}
		f.Verdict = p.words(&f.Row)
		name, found := publishers()[colNone].name, f.None
		if p.fault != nil {
			name, found = p.faultName, figure(values.faulty)
		}
		if found != nil && p.none.breaks != nil {
			f.Controls = []Control{{name, p.none.found, found, p.none.breaks(*found)}}
			if !f.Controls[0].Broken {
				t.Broken = append(t.Broken, p.attack+", "+p.measure)
			}
		}
		if !f.Met {
			t.Missed = append(t.Missed, p.attack+", "+p.measure)
		}
		t.Findings = append(t.Findings, f)
	}
	t.Passed = len(t.Missed)+len(t.Broken) == 0
	return t
}

// widest is half the interval of an AUC that tells something by its mean.
const widest = 0.06

// chance is the bar of an AUC: as [nearChance] has it, but where a definition has room
// for so few targets that the interval is wide, it is missed only when all of the
// interval is beyond it.
func chance() bar {
	strict := nearChance(barOutsider)
	return bar{strict.text, func(r *Row) bool {
		wide := r.Default.High-r.Default.Mean > widest
		return strict.met(r) || wide && max(r.Default.Low, 1-r.Default.High) <= barOutsider
	}}
}

// A probe is one measure of one attack on a twin.
type probe struct {
	attack, measure string

	value    func(t *twinTrial) (float64, error)
	baseline func(t *twinTrial) float64
	scored   func(t *twinTrial) int // how many cells an exact recovery is a share of
	none     control                // what no protection, or the fault, must come to
	// fault takes the measure of a planted weakness of the default.
	fault     func(t *twinTrial) (float64, error)
	faultName string
	// protected: only the default itself can be asked so.
	protected bool
	bar       bar
	words     func(r *Row) string
}

// probes are the attacks on any lattice.
func probes() []probe {
	return []probe{
		{
			attack: "A1 filter differencing", measure: "AUC", value: twinDifferencing,
			none: from(colNone, 0.95), bar: chance(), words: coin("Telling a secret of one child by subtracting tables"),
		},
		{
			attack: "A2 parent less siblings", measure: "ER", value: twinSubtraction, baseline: twinSubtractionBaseline, scored: subtractions,
			none: from(colNone, 0.95), bar: overBaseline(), words: guessed("Working hidden numbers out from totals and their other parts"),
		},
		{
			attack: "A4 sector combination", measure: "ER of Venn regions", value: twinVenn, baseline: twinVennBaseline, scored: vennsScored,
			none: from(colNone, 0.95), bar: overBaseline(), words: guessed("Working out who is known to one sector and not to another"),
		},
		{
			attack: "A5 all routes", measure: "ER, careful", value: twinRoutes(false), baseline: twinRoutesBaseline, scored: routesScored,
			none: from(colNone, 0.9), bar: overBaseline(), words: guessed("Guessing hidden numbers from every table at once"),
		},
		{
			attack: "A5 all routes", measure: "ER, with the model too", value: twinRoutes(true), baseline: twinRoutesBaseline, scored: routesScored,
			none: from(colNone, 0.9), bar: overBaseline(), words: guessed("Guessing hidden numbers from every table and a statistical model"),
		},
		{
			attack: "A5 all routes", measure: "AUC", value: twinRoutesTargets,
			none: from(colNone, 0.95), bar: chance(), words: coin("Telling a secret of one child from every table at once"),
		},
		{
			attack: "A8 set equality", measure: "AUC", value: twinEquality,
			none: from(colNone, 0.95), bar: chance(), words: coin("Telling whether a group is all of a larger one"),
		},
		{
			attack: "A9 group disclosure", measure: "shown, minority 0-9", value: twinOneSided,
			none: from(colNone, 1), bar: equals(0), words: limited("Groups nearly all of which are alike: %s shown; limit 0 %%."),
		},
		{
			attack: "A10 zero probing", measure: "Z", value: twinZeros,
			none: from(colNone, 0.05), bar: noGain(), words: limited("Telling no children from a few: %s better than by guessing; limit 0 %%."),
		},
	}
}

// overReleases are the attacks that need more releases of one population.
func overReleases() []probe {
	return []probe{{
		attack: "A17 release averaging", measure: fmt.Sprintf("sd of mean of %d, of the permanent layer's", twinReleases), value: twinAveraging,
		none: upTo(0.01), bar: atLeast(barReleases),
		words: limited(fmt.Sprintf("Averaging %d releases: %%s of the permanent noise is left; at least %.0f %%%% must be.", twinReleases, 100*barReleases)),
	}}
}

// limited words a share.
func limited(format string) func(r *Row) string {
	return func(r *Row) string { return fmt.Sprintf(format, percent(r.Default.Mean)) }
}

func children(x float64) string { return fmt.Sprintf("%.1f children", x) }

func percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// coin words an AUC.
func coin(what string) func(r *Row) string {
	return func(r *Row) string {
		x := max(r.Default.Mean, 1-r.Default.Mean)
		few := ""
		if half := r.Default.High - r.Default.Mean; half > widest {
			few = fmt.Sprintf(" (give or take %.0f: the definition has room for few such children)", 100*half)
		}
		return fmt.Sprintf("%s: right %.0f times in 100%s, a coin 50 times; limit %.0f.", what, 100*x, few, 100*barOutsider)
	}
}

// guessed words an exact recovery.
func guessed(what string) func(r *Row) string {
	return func(r *Row) string {
		if r.Baseline == nil {
			return what + ": nothing to guess."
		}
		return fmt.Sprintf("%s: %s right, %s by guessing from totals alone; limit %s.",
			what, percent(r.Default.Mean), percent(r.Baseline.Mean), percent(r.Baseline.Mean+barRecovery))
	}
}

// share is a part of a whole, NaN of nothing.
func share(part, whole int) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return float64(part) / float64(whole)
}
