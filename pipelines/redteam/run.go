package redteam

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pana-exchange/pana/gateway"
)

// MinKeys is the fewest noise keys whose interval the bars accept (disclosure.md 4).
const MinKeys = 10

// Options say what to run. The zero value is not enough: Keys is required.
type Options struct {
	Populations []string // Names of [Populations]; default all.
	Keys        int      // Required: how many noise keys, at least MinKeys.
	Seed        uint64   // The same seed plants the same children; default 0.
	Places      int      // Places of the grid, each a sample a key; default 200.
	// Now is the clock for the timing of look-ups; without it A10 takes no time.
	Now func() time.Time
	// Progress is told of each step; default nobody.
	Progress func(done, total int, what string)
}

func (o Options) places() int {
	if o.Places == 0 {
		return 200
	}
	return o.Places
}

// controlKeys is how many keys a control is run under: breaking it is meant to be
// plain.
const controlKeys = 3

// Run attacks every population that is asked for, the grid, standing tables of
// the populations, and sums. A missed bar or a
// broken attack is in the report, not an error; errors are of the system.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Keys < MinKeys {
		return nil, gateway.Errorf(gateway.Invalid, "the intervals need at least %d noise keys, not %d", MinKeys, o.Keys)
	}
	if len(o.Populations) == 0 {
		o.Populations = Populations()
	}
	r := &runner{ctx: ctx, o: o}
	r.total = o.steps() + len(gridChecks())*columns + len(o.Populations)*controlKeys + 1
	report := &Report{Keys: o.Keys, Seed: o.Seed}
	for _, name := range o.Populations {
		section, err := r.attack(name)
		if err != nil {
			return nil, err
		}
		report.Sections = append(report.Sections, *section)
	}
	for _, more := range []func() (*Section, error){r.grids, r.standing, r.sums} {
		section, err := more()
		if err != nil {
			return nil, err
		}
		report.Sections = append(report.Sections, *section)
	}
	report.judge()
	return report, nil
}

// A runner counts its steps and holds the populations of a section, one a key: the
// intervals are over keys and populations alike.
type runner struct {
	ctx         context.Context //nolint:containedctx // of one call of Run
	o           Options
	worlds      []*world
	mu          sync.Mutex // of done, and so that Progress is called by one at a time
	done, total int
}

// steps is how many trials the populations take.
func (o Options) steps() int { return len(o.Populations) * columns * o.Keys }

func (r *runner) step(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.o.Progress != nil {
		r.o.Progress(min(r.done, r.total), r.total, what)
	}
}

func (r *runner) populate(name string) error {
	i := slices.Index(Populations(), name)
	if i < 0 {
		return gateway.Errorf(gateway.Invalid, "there is no such population; there are %v", Populations())
	}
	l := newLattice(theDefinition())
	r.worlds = nil
	for key := range r.o.Keys {
		r.worlds = append(r.worlds, newWorld(l, name, populations[i].mean, mix(r.o.Seed)+uint64(key)))
	}
	return nil
}

// attack runs every check on one population.
func (r *runner) attack(name string) (*Section, error) {
	err := r.populate(name)
	if err != nil {
		return nil, err
	}
	all := checks(r.o)
	values := make([]taken, len(all))
	for i := range values {
		values[i] = newTaken(r.o.Keys)
	}
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for col, by := range publishers() {
		for key, w := range r.worlds {
			g.Go(func() error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				defer r.step(fmt.Sprintf("%s, %s, key %d", name, by.name, key+1))
				return takeAll(all, values, newTrial(w, by, key), col)
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	section := &Section{Population: name, Children: len(r.worlds[0].people), Cells: r.worlds[0].size}
	for i, c := range all {
		row := newRow(c, values[i])
		err := r.controls(&row, c, values[i], func(by publisher) ([]float64, error) { return r.underControl(c, by) })
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, row)
	}
	return section, nil
}

// taken are the values of one check, by protection and key.
type taken struct {
	by       [columns][]float64
	baseline []float64
	faulty   []float64 // of a twin's planted fault
}

func newTaken(keys int) taken {
	t := taken{baseline: make([]float64, keys), faulty: make([]float64, keys)}
	for col := range t.by {
		t.by[col] = make([]float64, keys)
	}
	return t
}

// takeAll takes every check of one trial.
func takeAll(all []check, values []taken, t *trial, col int) error {
	for i, c := range all {
		x, err := c.value(t)
		if err != nil {
			return fmt.Errorf("%s on %s: %w", c.attack, t.by.name, err)
		}
		values[i].by[col][t.key] = x
		if col != colDefault || c.baseline == nil {
			continue
		}
		x, err = c.baseline(t)
		if err != nil {
			return fmt.Errorf("baseline of %s: %w", c.attack, err)
		}
		values[i].baseline[t.key] = x
	}
	return nil
}

// underControl takes a measure of a planted fault.
func (r *runner) underControl(c check, by publisher) ([]float64, error) {
	xs := make([]float64, controlKeys)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for key, w := range r.worlds[:controlKeys] {
		g.Go(func() (err error) {
			xs[key], err = c.value(newTrial(w, by, key))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("%s on %s: %w", c.attack, by.name, err)
	}
	return xs, r.ctx.Err()
}

// grids runs the checks on the grid.
func (r *runner) grids() (*Section, error) {
	section := &Section{Population: "grid"}
	for _, c := range gridChecks() {
		var values taken
		for col, by := range publishers() {
			r.step("grid, " + by.name)
			xs, err := c.across(r.ctx, r.o, by)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", c.attack, by.name, err)
			}
			values.by[col] = xs
		}
		row := newRow(c, values)
		err := r.controls(&row, c, values, func(by publisher) ([]float64, error) {
			o := r.o
			o.Keys = controlKeys
			return c.across(r.ctx, o, by)
		})
		if err != nil {
			return nil, err
		}
		section.Rows = append(section.Rows, row)
	}
	return section, nil
}

// controls looks at what an attack makes of what it must break: a column, or a
// planted fault.
func (r *runner) controls(row *Row, c check, values taken, take func(by publisher) ([]float64, error)) error {
	for _, k := range c.controls {
		xs, err := values.by[k.col], error(nil)
		name := publishers()[k.col].name
		if k.fault != nil {
			name = k.fault.name
			xs, err = take(*k.fault)
		}
		if err != nil {
			return err
		}
		f := figure(xs)
		row.Controls = append(row.Controls, Control{name, k.found, f, f != nil && k.breaks(*f)})
	}
	return nil
}

func newRow(c check, values taken) Row {
	row := Row{
		Attack: c.attack, Measure: c.measure, Bar: c.bar.text, None: figure(values.by[colNone]), Rounded: figure(values.by[colRounded]),
		Single: figure(values.by[colSingle]), Default: figure(values.by[colDefault]),
	}
	if c.baseline != nil {
		var diff []float64
		for key, x := range values.by[colDefault] {
			diff = append(diff, x-values.baseline[key])
		}
		row.Baseline, row.Difference = figure(values.baseline), figure(diff)
	}
	// A measure that could not be taken at all (no clock) has no bar to miss.
	row.Met = c.bar.met == nil || row.Default == nil || c.bar.met(&row)
	return row
}
